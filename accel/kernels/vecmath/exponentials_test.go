package vecmath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
)

// TestSumExp compares with math.Exp bit for bit, also where exponentials are no normal numbers.
func TestSumExp(t *testing.T) {
	t.Parallel()
	for _, level := range isa.Available() {
		for _, n := range []int{1, 7, 8, 15, 16, 17, 255, 256, 257, 600} {
			for _, width := range []float64{1e-6, 1, 30, 690, 720, 800} {
				t.Run(fmt.Sprintf("%s/%d up to %g", level, n, width), func(t *testing.T) {
					t.Parallel()
					rng := rand.New(rand.NewPCG(uint64(n), uint64(width)))
					x := guard.Floats(t, n)
					most := float32(rng.NormFloat64())
					for i := range x {
						x[i] = most - float32(width*rng.Float64())
					}
					x[rng.IntN(n)] = most
					if n > 300 {
						x[n/2] = float32(math.Inf(-1))
					}
					want := 0.0
					for _, v := range x {
						want += math.Exp(float64(v) - float64(most))
					}
					if got := forLevel(level).sumExponentials(x, float64(most)); math.Float64bits(got) != math.Float64bits(want) {
						t.Errorf("got %v, want %v", got, want)
					}
				})
			}
		}
		x := make([]float32, 40)
		x[20] = float32(math.NaN())
		if got := forLevel(level).sumExponentials(x, 0); !math.IsNaN(got) {
			t.Errorf("%s: a sum with a NaN is %v", level, got)
		}
	}
}
