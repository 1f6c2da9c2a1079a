//go:build unix

package guard

import (
	"runtime/debug"
	"testing"
	"unsafe"
)

func TestReadingBehindASliceFaults(t *testing.T) {
	t.Parallel()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	x := Floats(t, 17)
	defer func() {
		if recover() == nil {
			t.Error("element 17 of a slice of 17 could be read")
		}
	}()
	t.Log(*(*float32)(unsafe.Add(unsafe.Pointer(&x[16]), 4)))
}
