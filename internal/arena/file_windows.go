package arena

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// plainly are flags for opening a file. Windows needs none: its pipes have no names in folders.
const plainly = 0

// own reports whether a file belongs to this user. On Windows every user has a folder for
// temporary files that no other user can open.
func own(os.FileInfo) bool { return true }

// beyond is where the locked byte of a file is: far behind the content, since a process on
// Windows cannot read the bytes that another has locked.
var beyond = windows.Overlapped{OffsetHigh: 1 << 30}

// lock takes the lock of a file, which shows that the file's owner is alive. It waits for it.
func lock(file *os.File) error {
	at := beyond
	return windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &at)
}

// tryLock reports whether the lock of a file was free. It does not keep the lock, because
// Windows removes no file with an open, locked handle.
func tryLock(file *os.File) (bool, error) {
	at := beyond
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
