package host

import (
	"io/fs"
	"syscall"
)

// untouched reports whether a file was not written, renamed or removed between two calls of
// Stat. It compares the time of the last change (ctime), which no program can set.
func untouched(before, after fs.FileInfo) bool {
	a, ok := before.Sys().(*syscall.Stat_t)
	b, also := after.Sys().(*syscall.Stat_t)
	return ok && also && a.Ctim == b.Ctim
}
