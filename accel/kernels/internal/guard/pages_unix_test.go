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
	floats, words := Floats(t, 17), Slice[int16](t, 5)
	for name, behind := range map[string]unsafe.Pointer{
		"17 float32": unsafe.Add(unsafe.Pointer(&floats[16]), 4), "5 int16": unsafe.Add(unsafe.Pointer(&words[4]), 2),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("what lies behind %s could be read", name)
				}
			}()
			t.Log(*(*byte)(behind))
		}()
	}
}
