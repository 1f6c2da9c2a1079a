// Package guard makes slices that show when a kernel under test leaves them. The memory
// before a slice is checked for changes. Behind it lies, if the system allows it, a page
// that stops the program when it is read or written.
package guard

import (
	"math"
	"testing"
)

// canary is a NaN that no arithmetic produces. An element that no longer is one was
// overwritten, and whatever is computed from one is NaN.
const canary = 0x7FA5C0DE

// Floats returns a slice of n canaries. When the test ends, it reports writes right before
// the slice.
func Floats(t testing.TB, n int) []float32 {
	t.Helper()
	const margin = 64
	all := Slice[float32](t, margin+n)
	Fill(all)
	t.Cleanup(func() {
		if at := Changed(all[:margin]); at >= 0 {
			t.Errorf("element %d of a slice of %d was written", at-margin, n)
		}
	})
	return all[margin : margin+n : margin+n]
}

// Fill sets all elements of x to the canary.
func Fill(x []float32) {
	for i := range x {
		x[i] = math.Float32frombits(canary)
	}
}

// Changed returns the index of the first element that is not the canary, or −1.
func Changed(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v) != canary {
			return i
		}
	}
	return -1
}
