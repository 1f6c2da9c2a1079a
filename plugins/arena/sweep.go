package arena

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Sweep removes the arenas in a folder (Folder() where it is empty) whose
// owners are dead, and returns their paths. Files of other users are left
// alone.
func Sweep(folder string) ([]string, error) {
	if folder == "" {
		folder = Folder()
	}
	paths, err := filepath.Glob(filepath.Join(folder, prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("sweep arenas in %s: %w", folder, err)
	}
	var removed []string
	var errs []error
	for _, path := range paths {
		ok, err := sweepOne(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep the arena %s: %w", path, err))
		}
		if ok {
			removed = append(removed, path)
		}
	}
	return removed, errors.Join(errs...)
}

// sweepOne removes a file if its lock is free: the system frees the locks of a
// process however it ends, and a process number that was given out again does
// not hold them.
func sweepOne(path string) (removed bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	free, err := tryLock(file)
	if err != nil || !free {
		return false, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	return true, nil
}
