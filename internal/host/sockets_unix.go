//go:build unix

package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFolder locks a folder of this user. free is false if another process has the lock, or if
// the path is a link or another user's folder; lock is then nil. The system frees the locks of a
// process however it ends.
func lockFolder(path string) (lock *os.File, free bool, err error) {
	folder, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil // another process's sweep has removed it
	}
	if err != nil {
		return nil, false, err
	}
	var status unix.Stat_t
	err = unix.Fstat(int(folder.Fd()), &status)
	if err == nil && int(status.Uid) == os.Geteuid() {
		err = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return folder, true, nil
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
	}
	return nil, false, errors.Join(err, folder.Close())
}
