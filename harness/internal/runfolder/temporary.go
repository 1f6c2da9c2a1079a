package runfolder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// settling is how old a temporary folder must be before it is swept. After it is made and before
// it is locked, it looks like one that was left behind.
const settling = time.Minute

// Temporary makes a folder in dir whose name begins with prefix, and locks it. remove deletes it
// and releases the lock. Before that, Temporary deletes the folders with this prefix that killed
// processes of this user left behind.
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
		err = lockFolder(opened)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(path))
	}
	return path, func() error { return errors.Join(os.RemoveAll(path), opened.Close()) }, nil
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

// sweepOne deletes a folder that belongs to this user, is old enough, and is not locked.
func sweepOne(path string, before time.Time) error {
	root, err := Open(path)
	if err != nil {
		return nil // a link, a file, another user's, or gone by now
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
	if !own(info) || info.ModTime().After(before) {
		return nil
	}
	err = lockFolder(folder)
	if errors.Is(err, ErrLocked) {
		return nil // in use
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
