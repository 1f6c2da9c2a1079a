//go:build unix

package arena

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// plainly opens a file without following a link and without waiting for the other
// end of a pipe.
const plainly = unix.O_NOFOLLOW | unix.O_NONBLOCK

// own reports whether a file belongs to this user.
func own(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// lock takes the lock that shows a file's owner to be alive.
func lock(file *os.File) error { return flock(file, unix.LOCK_EX) }

// tryLock reports whether nobody held the lock, and takes it.
func tryLock(file *os.File) (bool, error) {
	err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func flock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
