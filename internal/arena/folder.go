package arena

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

// FolderVariable is the environment variable that names another folder for arenas. Machines
// whose /dev/shm is too small need it (containers often give it 64 MiB).
const FolderVariable = "BITTERN_ARENA_FOLDER"

// spares is how many other names are tried if somebody else has the name of this user's folder.
const spares = 9

// Folder returns the folder of arenas. It is the one that FolderVariable names; without that, a
// folder bittern-<uid> of this user's own (mode 0700), which Folder makes, in /dev/shm or, if
// that does not exist, in the folder for temporary files. If that name belongs to a file, a link
// or another user's folder, Folder tries bittern-<uid>-2 and so on. Without a usable folder the
// error is a *plugins.Problem.
func Folder() (string, error) {
	if folder := os.Getenv(FolderVariable); folder != "" {
		return folder, nil
	}
	return userFolder(sharedMemory("/dev/shm"))
}

// sharedMemory returns the given folder, or the one for temporary files if there is no such
// folder.
func sharedMemory(folder string) string {
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return folder
	}
	return os.TempDir()
}

func userFolder(parent string) (string, error) {
	name := filepath.Join(parent, fmt.Sprintf("bittern-%d", os.Geteuid()))
	folder := name
	for i := 2; ; i++ {
		err := private(folder)
		if err == nil {
			return folder, nil
		}
		if !errors.Is(err, errTaken) {
			return "", plugins.Problemf("cannot make the folder for tensors %s (%v); set %s to a folder that can be written", folder, err, FolderVariable)
		}
		if i > spares {
			return "", plugins.Problemf("%s and %d more like it are not folders of this user alone; remove them or set %s to a folder of your own", name, spares-1, FolderVariable)
		}
		folder = fmt.Sprintf("%s-%d", name, i)
	}
}

var errTaken = errors.New("it is no folder of this user alone")

// private makes a folder that no other user may enter, unless it exists. If something else has
// its name, the error is errTaken.
func private(folder string) error {
	if err := os.Mkdir(folder, 0o700); err == nil || !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	const others = 0o077
	if !info.IsDir() || !own(info) || os.PathSeparator == '/' && info.Mode()&others != 0 {
		return errTaken
	}
	return nil
}

// isName reports whether a file name is that of an arena.
func isName(name string) bool { return strings.HasPrefix(name, prefix) && name != prefix }
