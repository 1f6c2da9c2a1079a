package vecmath

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Round finds the nearest level, which the test looks for among all of them, and
// changes no level.
func TestRound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for bits := 1; bits <= 8; bits++ {
		n := 1<<bits - 1
		x := []float32{-3, -1, 0, float32(math.Copysign(0, -1)), 1, 3, 1e-38}
		for range 1000 {
			x = append(x, 2.2*random.Float32()-1.1)
		}
		got := make([]float32, len(x))
		Round(got, x, bits)
		for i, v := range x {
			want := -1.0
			for k := range n + 1 {
				if level := float64(2*k-n) / float64(n); math.Abs(level-float64(v)) <= math.Abs(want-float64(v)) {
					want = level
				}
			}
			if got[i] != float32(want) {
				t.Errorf("%v rounded to %d bits is %v, want %v", v, bits, got[i], want)
			}
		}
		again := make([]float32, len(x))
		copy(again, got)
		Round(again, again, bits)
		for i := range again {
			if again[i] != got[i] {
				t.Errorf("the level %v of %d bits is rounded to %v", got[i], bits, again[i])
			}
		}
	}
	x := []float32{float32(math.Inf(-1)), float32(math.Inf(1)), float32(math.NaN())}
	if Round(x, x, 2); x[0] != -1 || x[1] != 1 || x[2] == x[2] {
		t.Errorf("−∞, ∞ and NaN are rounded to %v, want −1, 1 and NaN", x)
	}
}
