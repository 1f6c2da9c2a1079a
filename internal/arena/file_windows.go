package arena

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// plainly is nothing where a pipe has no name in a folder.
const plainly = 0

// own reports whether a file belongs to this user: the folder for temporary
// files is one per user, and closed to others.
func own(os.FileInfo) bool { return true }

// The lock lies far behind the file's content, because Windows locks are
// mandatory for the bytes they cover.
var beyond = windows.Overlapped{OffsetHigh: 1 << 30}

// lock takes the lock that shows a file's owner to be alive.
func lock(file *os.File) error {
	at := beyond
	return windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &at)
}

// tryLock reports whether nobody held the lock. It lets go of it at once: a
// file with an open, locked handle cannot be removed.
func tryLock(file *os.File) (bool, error) {
	at := beyond
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
