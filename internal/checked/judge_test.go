package checked

import (
	"math"
	"testing"
)

func TestNotFinite(t *testing.T) {
	t.Parallel()
	infinity := float32(math.Inf(1))
	finite := []float32{0, 1, -1, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1))}
	all := make([]float32, 40)
	for i := range all {
		all[i] = finite[i%len(finite)]
	}
	for from := range 3 { // the value comes first or second of its pair
		for n := range 35 {
			values := all[from : from+n]
			if got := notFinite(values); got != -1 {
				t.Fatalf("%d values from %d: got %d, want none", n, from, got)
			}
			for at := range values {
				for _, odd := range []float32{infinity, -infinity, float32(math.NaN()), -float32(math.NaN())} {
					kept := values[at]
					values[at] = odd
					if got := notFinite(values); got != at {
						t.Fatalf("%d values from %d, %v at %d: got %d", n, from, odd, at, got)
					}
					values[at] = kept
				}
			}
		}
	}
}

func BenchmarkNotFinite(b *testing.B) {
	values := make([]float32, 4<<20)
	for b.Loop() {
		if notFinite(values) >= 0 {
			b.Fatal("found a number that is not finite")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/value")
}
