package arena

import (
	"os"
	"path/filepath"
)

// Sweep removes the arenas in a folder, or in [Folder] if it is empty, whose owners are dead,
// and returns their paths. It skips everything else: what is not a regular file of this user,
// and what it cannot open, lock or remove. It has no error, because nothing depends on it.
func Sweep(folder string) []string {
	if folder == "" {
		var err error
		if folder, err = Folder(); err != nil {
			return nil // Create returns the error too
		}
	}
	// Of a folder that cannot be read whole, ReadDir returns what it could read.
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

// sweepOne removes a file if its lock is free, and reports whether it did. The system frees the
// locks of a process however it ends. The process number in the name would not do: it may have
// been given to another process.
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
