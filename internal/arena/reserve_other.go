//go:build !linux

package arena

import "os"

// reserve gives a file its size and the room for it.
func reserve(file *os.File, size int64) error { return fill(file, size) }

// adviseHugePages does nothing where shared files have no large pages.
func adviseHugePages([]byte) {}
