package runfolder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settling is how old a temporary folder must be to be swept: between the making of one
// and its locking it looks like one that was left behind.
const settling = time.Minute

// Temporary makes a folder with a name that begins with prefix in the folder dir and
// holds a lock on it until remove is called, which deletes it. Folders with that prefix
// that a process of this user has left behind by being killed are deleted first.
func Temporary(dir, prefix string) (path string, remove func() error, err error) {
	if err := sweepTemporary(dir, prefix, time.Now().Add(-settling)); err != nil {
		return "", nil, err
	}
	path, err = os.MkdirTemp(dir, prefix)
	if err != nil {
		return "", nil, err
	}
	opened, err := os.Open(path)
	if err == nil {
		err = TryLock(opened, unix.LOCK_EX)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(path))
	}
	return path, func() error { return errors.Join(os.RemoveAll(path), opened.Close()) }, nil
}

// TryLock takes a flock(2) of the given kind on a file or folder without waiting. That
// another has it is [unix.EWOULDBLOCK].
func TryLock(file *os.File, kind int) error {
	for {
		if err := unix.Flock(int(file.Fd()), kind|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func sweepTemporary(dir, prefix string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			if err := sweepOne(filepath.Join(dir, entry.Name()), before); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepOne deletes a folder that is this user's, old enough, and locked by nobody.
func sweepOne(path string, before time.Time) error {
	root, err := Open(path)
	if err != nil {
		return nil // a link, a file, another's, or gone by now: not ours
	}
	defer root.Close()
	folder, err := root.Open(".")
	if err != nil {
		return nil // as above
	}
	defer folder.Close()
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() || info.ModTime().After(before) {
		return nil
	}
	err = TryLock(folder, unix.LOCK_EX)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil // in use
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
