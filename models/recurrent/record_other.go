//go:build !linux

package recurrent

// adviseHugePages does nothing on systems other than Linux.
func adviseHugePages([]float32) {}
