//go:build unix

package runfolder

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// TryLock locks a file with flock(2) without waiting. If another process has the lock, the error
// is [ErrLocked]. The system releases the lock when the process ends, however it ends.
func TryLock(file *os.File, kind LockKind) error {
	how := unix.LOCK_EX
	if kind == Shared {
		how = unix.LOCK_SH
	}
	for {
		switch err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB); {
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

// Unlock releases the lock of a file, for every process that inherited the open file.
func Unlock(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_UN); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func lockFolder(folder *os.File) error { return TryLock(folder, Exclusive) }

// own reports whether a file or folder belongs to this user.
func own(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// syncFolder waits until the names in a folder are on disk.
func syncFolder(folder *os.File) error { return folder.Sync() }
