// Package guard makes slices for tests of kernels that must not leave them:
// what lies before a slice is watched for changes, and behind it lies, where
// the system can, a page whose reading or writing stops the program.
package guard

import (
	"math"
	"testing"
)

// canary is a NaN that no arithmetic makes: it shows where it was overwritten,
// and whoever computes with it gets NaN.
const canary = 0x7FA5C0DE

// Floats returns a slice of n float32 that are canaries. When the test ends,
// writes right before the slice are reported.
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

// Fill makes canaries of x.
func Fill(x []float32) {
	for i := range x {
		x[i] = math.Float32frombits(canary)
	}
}

// Changed returns the index of the first element that is no canary, or −1.
func Changed(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v) != canary {
			return i
		}
	}
	return -1
}
