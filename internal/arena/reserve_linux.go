package arena

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// large is a size from which on it is worth asking how much memory is free.
const large = 64 << 20

// reserve gives a file its size and the room for it. Growing the file alone
// would let a full file system kill the process at the first touch (SIGBUS).
// A large file in memory that exceeds what is left of it is refused first: the
// system would rather kill processes than say so.
func reserve(file *os.File, size int64) error {
	var system unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &system); err != nil {
		return err
	}
	if system.Type == unix.TMPFS_MAGIC && size >= large {
		if free, err := freeMemory(); err != nil {
			return err
		} else if size > free {
			return fmt.Errorf("%d MiB of memory are free", free>>20)
		}
	}
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

// freeMemory is what the system can give without swapping, in bytes
// (MemAvailable of proc_meminfo(5)).
func freeMemory() (int64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not say how much memory is available")
}

// adviseHugePages asks for large pages, which shared memory gets only where a
// process asks. It is advice: a system that cannot follow it loses nothing.
func adviseHugePages(memory []byte) { _ = unix.Madvise(memory, unix.MADV_HUGEPAGE) }
