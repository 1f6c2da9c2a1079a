package arena

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

// FolderVariable names the environment variable that moves arenas to another
// folder, for machines whose /dev/shm is too small (containers often give it
// 64 MiB).
const FolderVariable = "BITTERN_ARENA_FOLDER"

// spares is how many other names are tried where somebody else has taken the
// name of this user's folder.
const spares = 9

// Folder returns where arenas are kept: the folder that FolderVariable names,
// else a folder of this user's own, bittern-<uid>, in /dev/shm where there is
// one, else in the folder for temporary files. It makes the user's own folder
// (mode 0700). A file, a link or a folder of somebody else's under that name is
// left alone, and bittern-<uid>-2 and so on are tried in its place.
func Folder() (string, error) {
	if folder := os.Getenv(FolderVariable); folder != "" {
		return folder, nil
	}
	return userFolder(sharedMemory("/dev/shm"))
}

// sharedMemory returns a folder where there is one, else the folder for
// temporary files.
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

// private makes a folder that nobody else may enter, or sees that it is one.
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

// isName reports whether a file's name is that of an arena.
func isName(name string) bool { return strings.HasPrefix(name, prefix) && name != prefix }
