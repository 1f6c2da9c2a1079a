package host

import (
	"io/fs"
	"syscall"
)

// untouched says whether a file has not been written, renamed or removed
// between the two looks. Who writes a file cannot set the time of this change.
func untouched(before, after fs.FileInfo) bool {
	a, ok := before.Sys().(*syscall.Stat_t)
	b, also := after.Sys().(*syscall.Stat_t)
	return ok && also && a.Ctim == b.Ctim
}
