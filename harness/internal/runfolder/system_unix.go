//go:build unix

package runfolder

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// TryLock takes a flock(2) of a file without waiting. That another process has it is
// [ErrLocked]. The system releases it when the process ends, however it ends.
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

// Unlock releases the lock of a file for all that have it open by the same opening.
func Unlock(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_UN); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func lockFolder(folder *os.File) error { return TryLock(folder, Exclusive) }

// own says whether a file or folder is this user's.
func own(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// syncFolder waits until the names in a folder are on disk.
func syncFolder(folder *os.File) error { return folder.Sync() }
