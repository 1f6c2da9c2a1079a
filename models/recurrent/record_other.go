//go:build !linux

package recurrent

// adviseHugePages does nothing where the system is not told.
func adviseHugePages([]float32) {}
