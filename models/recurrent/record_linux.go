package recurrent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHugePages asks the system for huge pages, for the part of a record that fills whole
// pages. A system that has none refuses, and the record stays as it is.
func adviseHugePages(record []float32) {
	if 4*len(record) < 2*hugePage {
		return // there may be no whole one
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(record))), 4*len(record))
	from := int(-uintptr(unsafe.Pointer(unsafe.SliceData(record))) % hugePage)
	to := from + (len(bytes)-from)/hugePage*hugePage
	_ = unix.Madvise(bytes[from:to], unix.MADV_HUGEPAGE)
}
