package host

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// The variables that every external plugin gets: enough to find programs, its own files and a
// place for temporary ones, and none that may be a secret.
var (
	passedNames = []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE",
		// No program runs on Windows without these.
		"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA",
	}
	passedPrefixes = []string{"LC_", "BITTERN_"}
)

// environment returns the variables that a plugin is started with. A built-in plugin has those
// of its host, since it is code of the host.
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
		if runtime.GOOS == "windows" { // which ignores case
			name = strings.ToUpper(name)
		}
		return !slices.Contains(passedNames, name) &&
			!slices.ContainsFunc(passedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}
