package host

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// What an external plugin sees of the environment, besides what its Settings
// name: enough to find programs, its own files and a place for temporary ones,
// and nothing that may be a secret.
var (
	passedNames = []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE",
		// Without these no program runs on Windows.
		"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA",
	}
	passedPrefixes = []string{"LC_", "BITTERN_"}
)

// environment returns the variables that a plugin is started with. A built-in
// has those of its host, since it is its host's own code.
func (e Entry) environment(named []string) []string {
	all := os.Environ()
	if e.Builtin {
		return all
	}
	return slices.DeleteFunc(all, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(named, name) {
			return false
		}
		if runtime.GOOS == "windows" { // where case does not count
			name = strings.ToUpper(name)
		}
		return !slices.Contains(passedNames, name) &&
			!slices.ContainsFunc(passedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}
