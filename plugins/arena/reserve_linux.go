package arena

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve gives a file its size and the room for it. Growing the file alone
// would let a full file system kill the process at the first touch (SIGBUS).
func reserve(file *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(file.Fd()), 0, 0, size)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			return fill(file, size)
		}
		return err
	}
}

// adviseHugePages asks for large pages, which shared memory gets only where a
// process asks. It is advice: a system that cannot follow it loses nothing.
func adviseHugePages(memory []byte) { _ = unix.Madvise(memory, unix.MADV_HUGEPAGE) }
