package runfolder

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// beyond is where the locked byte of a file is: far behind the content, since a process on
// Windows cannot read the bytes that another has locked.
var beyond = windows.Overlapped{OffsetHigh: 1 << 30}

// TryLock locks a file without waiting. If another process has the lock, the error is
// [ErrLocked]. The system releases the lock when the process ends, however it ends.
func TryLock(file *os.File, kind LockKind) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if kind == Exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	at := beyond
	err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// Unlock releases the lock of a file.
func Unlock(file *os.File) error {
	at := beyond
	return windows.UnlockFileEx(windows.Handle(file.Fd()), 0, 1, 0, &at)
}

// lockFolder does nothing, because Windows locks only files.
func lockFolder(*os.File) error { return nil }

// own is always false. Without a lock, a folder in use looks like one that was left behind, and
// must not be removed.
func own(os.FileInfo) bool { return false }

// syncFolder does nothing, because Windows syncs only files.
func syncFolder(*os.File) error { return nil }
