//go:build !linux

package arena

import "os"

// reserve gives a file its size and the disk space or memory for it.
func reserve(file *os.File, size int64) error { return fill(file, size) }

// adviseHugePages does nothing: only Linux has huge pages for shared files.
func adviseHugePages([]byte) {}
