//go:build unix

package arena

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

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
