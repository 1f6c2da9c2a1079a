package arena

import (
	"os"
	"path/filepath"
)

// Sweep removes the arenas in a folder ([Folder] where it is empty) whose owners
// are dead, and returns their paths. It tidies up, so nothing it finds is an
// error: what is not a plain file of this user's own is skipped, and so is what
// cannot be opened, locked or removed.
func Sweep(folder string) []string {
	if folder == "" {
		var err error
		if folder, err = Folder(); err != nil {
			return nil // whoever creates an arena is told
		}
	}
	// Of a folder that cannot be read to its end, what was read.
	entries, _ := os.ReadDir(folder)
	var removed []string
	for _, entry := range entries {
		if !isName(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		if path := filepath.Join(folder, entry.Name()); sweepOne(path) {
			removed = append(removed, path)
		}
	}
	return removed
}

// sweepOne removes a file if its lock is free: the system frees the locks of a
// process however it ends, and a process number that was given out again does
// not hold them.
func sweepOne(path string) (removed bool) {
	file, info, err := openExisting(path, os.O_RDWR)
	if err != nil {
		return false
	}
	defer file.Close()
	if !own(info) {
		return false
	}
	free, err := tryLock(file)
	return err == nil && free && os.Remove(path) == nil
}
