package flush_test

import (
	"math"
	"testing"

	"bittern/accel/kernels/flush"
)

func TestFlush(t *testing.T) {
	t.Parallel()
	infinity := float32(math.Inf(1))
	for _, c := range []struct {
		name  string
		flush func(float32) float32
		least float32
	}{
		{"ToZero", flush.ToZero, flush.Least},
		{"BeforeSquare", flush.BeforeSquare, flush.LeastSquared},
	} {
		for _, kept := range []float32{c.least, 1, math.MaxFloat32, infinity} {
			if got := c.flush(kept); got != kept {
				t.Errorf("%s(%g) = %g", c.name, kept, got)
			}
			if got := c.flush(-kept); got != -kept {
				t.Errorf("%s(%g) = %g", c.name, -kept, got)
			}
		}
		for _, negligible := range []float32{0, math.SmallestNonzeroFloat32, 0x1p-126, math.Nextafter32(c.least, 0)} {
			for _, v := range []float32{negligible, -negligible} {
				if got := c.flush(v); math.Float32bits(got) != 0 {
					t.Errorf("%s(%g) = %g, want 0", c.name, v, got)
				}
			}
		}
		if got := c.flush(float32(math.NaN())); got == got {
			t.Errorf("%s(NaN) = %g", c.name, got)
		}
	}
	if square := float32(flush.LeastSquared) * flush.LeastSquared; square < 0x1p-126 {
		t.Errorf("the square of the least is %g, a subnormal number", square)
	}
}
