package arena

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// large is the size in bytes from which reserve asks how much memory is free.
const large = 64 << 20

// reserve gives a file its size and the disk space or memory for it. With the size alone, a
// write to a file system that is full would kill the process (SIGBUS). reserve refuses a large
// file in memory if less memory is free than it needs, because the system would kill processes
// instead of refusing it.
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

// freeMemory returns how many bytes of memory the system can give without swapping (MemAvailable
// of proc_meminfo(5)).
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

// adviseHugePages asks for huge pages, which shared memory gets only if a process asks. Its
// error is ignored: without huge pages all works, only slower.
func adviseHugePages(memory []byte) { _ = unix.Madvise(memory, unix.MADV_HUGEPAGE) }
