package lsq

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// By hand: a step of ½, so that w/s = 2w; ¼, ¾ and so on are halves of a step, which
// go to even codes.
func TestQuantize(t *testing.T) {
	t.Parallel()
	latent := []float32{-9, -1.25, -0.75, -0.25, -0.2, float32(math.Copysign(0, -1)), 0, 0.2, 0.25, 0.75, 1.25, 9}
	for _, c := range []struct {
		name      string
		bits      int
		symmetric bool
		want      []float32
	}{
		{"2 bits", 2, false, []float32{-1, -1, -1, 0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5}},
		{"2 bits, symmetric", 2, true, []float32{-0.5, -0.5, -0.5, 0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5}},
		{"3 bits", 3, false, []float32{-2, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 1.5}},
		{"3 bits, symmetric", 3, true, []float32{-1.5, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 1.5}},
		{"4 bits", 4, false, []float32{-4, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 3.5}},
		{"4 bits, symmetric", 4, true, []float32{-3.5, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 3.5}},
	} {
		got := make([]float32, len(latent))
		if !newCodes(c.bits, c.symmetric).quantize(got, latent, 0.5) {
			t.Errorf("%s: finite weights were reported as not finite", c.name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v became %v, want %v", c.name, latent, got, c.want)
		}
		for i, value := range got {
			if value == 0 && math.Signbit(float64(value)) {
				t.Errorf("%s: %v became −0, want +0", c.name, latent[i])
			}
		}
	}
}

// By hand, with a step of ½ and Q_N = 4, Q_P = 3: the places w/s are −5, −4, −1.25,
// 0.5, 2.75, 3 and 4.
func TestBackward(t *testing.T) {
	t.Parallel()
	latent := []float32{-2.5, -2, -0.625, 0.25, 1.375, 1.5, 2}
	for i, c := range []struct{ slope, pass float64 }{
		{-4, 0}, {-4, 0}, {0.25, 1}, {-0.5, 1}, {0.25, 1}, {3, 0}, {3, 0},
	} {
		grad := []float32{-8}
		sum := newCodes(3, false).backward(grad, latent[i:i+1], 0.5)
		if sum != -8*c.slope || float64(grad[0]) != -8*c.pass {
			t.Errorf("w/s = %v: gradient of the step %v and of the weight %v, want %v and %v",
				latent[i]/0.5, sum, grad[0], -8*c.slope, -8*c.pass)
		}
	}
}

// One bit: ∂ŵ/∂s is the sign, and the gradient passes where |w| ≤ s.
func TestBackwardOfOneBit(t *testing.T) {
	t.Parallel()
	latent := []float32{-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75}
	grad := []float32{1, 2, 4, 8, 16, 32, 64}
	sum := binaryBackward(grad, latent, 0.5)
	if want := []float32{0, 2, 4, 8, 16, 32, 0}; !slices.Equal(grad, want) {
		t.Errorf("gradients of the weights %v, want %v", grad, want)
	}
	if want := float64(8 + 16 + 32 + 64 - 1 - 2 - 4); sum != want {
		t.Errorf("gradient of the step %v, want %v", sum, want)
	}
}

// The gradient of the step is the derivative, in float64, of what the paper's
// straight-through estimator differentiates: (clip(w/s) + r)·s, where r is by how
// much rounding moves clip(w/s), held fixed. Beyond the ends and with one bit that is
// the quantizer itself.
func TestGradientOfStepIsDerivative(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	const n, step, h = 257, 0.375, 1e-7
	latent, grad := make([]float32, n), make([]float32, n)
	for i := range latent {
		latent[i], grad[i] = float32(random.NormFloat64()), float32(random.NormFloat64())
	}
	check := func(name string, got float64, code func(w, s float64) float64) {
		t.Helper()
		loss := func(s float64) (sum float64) {
			for i, w := range latent {
				sum += float64(grad[i]) * code(float64(w), s) * s
			}
			return sum
		}
		if want := (loss(step+h) - loss(step-h)) / (2 * h); math.Abs(got-want) > 1e-4 || want == 0 {
			t.Errorf("%s: gradient of the step %v, central differences give %v", name, got, want)
		}
	}
	check("1 bit", binaryBackward(slices.Clone(grad), latent, step), func(w, _ float64) float64 { return math.Copysign(1, w) })
	for bits := 2; bits <= 4; bits++ {
		for _, symmetric := range []bool{false, true} {
			c := newCodes(bits, symmetric)
			clip := func(x float64) float64 { return min(max(x, float64(c.low)), float64(c.high)) }
			check(fmt.Sprintf("%d bits, symmetric %v", bits, symmetric), c.backward(slices.Clone(grad), latent, step), func(w, s float64) float64 {
				place := clip(w / step)
				return clip(w/s) + math.RoundToEven(place) - place
			})
		}
	}
}

// By hand: 100 weights of mean size 0.3.
func TestInitialStepAndGradientScale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bits           int
		symmetric      bool
		initial, scale float64
	}{
		{2, false, 0.6, 0.1},
		{3, false, 0.34641016151377546, 0.05773502691896258},
		{4, true, 0.22677868380553634, 0.03779644730092272},
	} {
		codes := newCodes(c.bits, c.symmetric)
		if got := float64(codes.initial(0.3)); math.Abs(got/c.initial-1) > 1e-6 {
			t.Errorf("%d bits: first step %v, want %v", c.bits, got, c.initial)
		}
		if got := gradientScale(100, codes.high); math.Abs(got/c.scale-1) > 1e-12 {
			t.Errorf("%d bits: gradient scale %v, want %v", c.bits, got, c.scale)
		}
	}
}

func TestStepsAtOrBelowZeroAreTheLeast(t *testing.T) {
	t.Parallel()
	for step, want := range map[float32]float32{-3: 1e-5, 0: 1e-5, 1e-6: 1e-5, 1e-4: 1e-4, 2: 2} {
		if got := positive(step); got != want {
			t.Errorf("a step of %v is taken as %v, want %v", step, got, want)
		}
	}
}

func TestQuantizeReportsWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	for bits := 2; bits <= 4; bits++ {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if newCodes(bits, false).quantize(make([]float32, 3), []float32{-math.MaxFloat32, float32(bad), 1}, 1) {
				t.Errorf("%d bits: %v went unnoticed", bits, bad)
			}
		}
		if !newCodes(bits, false).quantize(make([]float32, 2), []float32{-math.MaxFloat32, math.MaxFloat32}, 1) {
			t.Errorf("%d bits: finite weights were reported as not finite", bits)
		}
	}
}
