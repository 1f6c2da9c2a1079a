package vecmath

import (
	"math"
	"testing"

	"bittern/accel/kernels/flush"
	"bittern/accel/kernels/isa"
)

// everyLevel runs test for the kernels of each level that this machine has.
func everyLevel(t *testing.T, test func(t *testing.T, k *kernels)) {
	t.Helper()
	for _, level := range isa.Available() {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			test(t, forLevel(level))
		})
	}
}

// ulps is the distance of got from want in units in the last place of want as
// a float32; subnormal numbers are spaced evenly.
func ulps(got float32, want float64) float64 {
	_, exponent := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exponent-24, -149))
}

// same says that a and b are the same bits, or both NaN.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestActivationAccuracy walks over all float32 in strides that are prime to
// the powers of two, so every exponent and all low bits are met.
func TestActivationAccuracy(t *testing.T) {
	t.Parallel()
	const stride, chunk = 1021, 1 << 12
	for _, c := range []struct {
		name  string
		of    func(k *kernels) func(dst, x []float32)
		exact func(float64) float64
		bound float64 // ulp, as the doc comment says
	}{
		{"sigmoid", func(k *kernels) func(dst, x []float32) { return k.sigmoid }, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 2.5},
		{"tanh", func(k *kernels) func(dst, x []float32) { return k.tanh }, math.Tanh, 2.6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			everyLevel(t, func(t *testing.T, k *kernels) {
				x, got := make([]float32, 0, chunk), make([]float32, chunk)
				worst, at := 0.0, float32(0)
				check := func() {
					c.of(k)(got[:len(x)], x)
					for i, v := range x {
						want := c.exact(float64(v))
						if c.name == "sigmoid" && got[i] == 0 && want < flush.Least*(1+1e-6) {
							continue
						}
						if single := float64(float32(want)); single == 0 || math.IsInf(single, 0) || math.IsNaN(single) {
							// There is no error to measure: zero with its sign, infinity and NaN are as they are.
							if !same(got[i], float32(want)) {
								t.Fatalf("%s(%v) = %v, want %v", c.name, v, got[i], single)
							}
						} else if u := ulps(got[i], want); !(u <= worst) {
							worst, at = u, v
						}
					}
					x = x[:0]
				}
				for bits := uint64(0); bits < 1<<32; bits += stride {
					x = append(x, math.Float32frombits(uint32(bits)))
					if len(x) == chunk {
						check()
					}
				}
				check()
				if worst > c.bound {
					t.Errorf("%s is %.3f ulp off at %v, want at most %v", c.name, worst, at, c.bound)
				}
			})
		})
	}
}
