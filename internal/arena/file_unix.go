//go:build unix

package arena

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// plainly are flags for opening a file: links are not followed, and opening a pipe does not wait
// for its other end.
const plainly = unix.O_NOFOLLOW | unix.O_NONBLOCK

// own reports whether a file belongs to this user.
func own(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// lock takes the lock of a file, which shows that the file's owner is alive. It waits for it.
func lock(file *os.File) error { return flock(file, unix.LOCK_EX) }

// tryLock takes the lock of a file unless another process has it. It reports whether it did.
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
