package runfolder

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// beyond is far behind a file's content: Windows lets nobody else read the bytes that an
// exclusive lock covers.
var beyond = windows.Overlapped{OffsetHigh: 1 << 30}

// TryLock takes a lock of a file without waiting. That another process has it is
// [ErrLocked]. The system releases it when the process ends, however it ends.
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

// lockFolder locks nothing: Windows locks files alone.
func lockFolder(*os.File) error { return nil }

// own is false of everything, so that no folder in use, which no lock shows, is taken for
// one that was left behind.
func own(os.FileInfo) bool { return false }

// syncFolder does nothing: Windows syncs files alone.
func syncFolder(*os.File) error { return nil }
