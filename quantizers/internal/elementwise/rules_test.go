package elementwise

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/quantizers/internal/random"
)

const alpha = 0.0242 // about that of a 512-unit LSTM

var fit = Fit{Scale: alpha, Bound: float32(alpha) / 3}

// probability estimates how often a kernel draws the level for the weight.
func probability(kernel Kernel, weight, level float32, draws int, name string) float64 {
	latent := slices.Repeat([]float32{weight}, draws)
	quantized := make([]float32, draws)
	kernel(quantized, latent, fit, random.NewStream(1, 2, name), 0)
	count := 0
	for _, q := range quantized {
		if q == level {
			count++
		}
	}
	return float64(count) / float64(draws)
}

// TestSamplingProbabilities holds the observed share of each level to its
// probability within five standard deviations of the binomial.
func TestSamplingProbabilities(t *testing.T) {
	t.Parallel()
	const draws = 40001
	check := func(t *testing.T, kernel Kernel, ratio float64, level float32, want float64) {
		t.Helper()
		got := probability(kernel, float32(ratio*alpha), level, draws, fmt.Sprint(ratio))
		if bound := 5 * math.Sqrt(want*(1-want)/draws); math.Abs(got-want) > bound {
			t.Errorf("w/α = %v: level %v has the share %v, want %v within %v", ratio, level, got, want, bound)
		}
	}
	clip := func(p float64) float64 { return min(1, max(0, p)) }
	for _, ratio := range []float64{-3, -1.001, -0.999, -0.9, -0.5, -0.1, -0.001, 0, 0.001, 0.25, 0.5, 0.75, 0.999, 1.001, 3} {
		positive := clip((ratio + 1) / 2)
		check(t, HardSigmoid, ratio, alpha, positive)
		check(t, HardSigmoid, ratio, -alpha, 1-positive)
		nonzero := clip(math.Abs(ratio))
		check(t, Bernoulli, ratio, 0, 1-nonzero)
		if ratio != 0 {
			check(t, Bernoulli, ratio, float32(math.Copysign(alpha, ratio)), nonzero)
			check(t, Bernoulli, ratio, float32(math.Copysign(alpha, -ratio)), 0)
		}
	}
}

// Rules draw the halves of SplitMix64's outputs, low ones first: with latent
// weights of 0 the binary rule shows their highest bits. The outputs are the first
// from state 0 as the reference implementation (Vigna, splitmix64.c) gives them.
func TestDrawsAreSplitMix64(t *testing.T) {
	t.Parallel()
	words := []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec}
	quantized := make([]float32, 2*len(words))
	HardSigmoid(quantized, make([]float32, len(quantized)), fit, random.Stream(0), 0)
	for i, got := range quantized {
		want := float32(-alpha)
		if words[i/2]>>(32*(i%2)+31)&1 != 0 {
			want = alpha // the draw is a negative number, below 0
		}
		if got != want {
			t.Errorf("element %d: got %v, want %v", i, got, want)
		}
	}
}

// Beyond α, and at 0 for the ternary rule, the outcome is certain: not one
// draw in a million may differ.
func TestCertainOutcomes(t *testing.T) {
	t.Parallel()
	const draws = 1 << 20
	for _, c := range []struct {
		name          string
		kernel        Kernel
		weight, level float32
	}{
		{"binary at α", HardSigmoid, alpha, alpha},
		{"binary at −α", HardSigmoid, -alpha, -alpha},
		{"ternary at α", Bernoulli, alpha, alpha},
		{"ternary at −α", Bernoulli, -alpha, -alpha},
		{"ternary at 0", Bernoulli, 0, 0},
		{"ternary at −0", Bernoulli, float32(math.Copysign(0, -1)), 0},
	} {
		if got := probability(c.kernel, c.weight, c.level, draws, c.name); got != 1 {
			t.Errorf("%s: share of %v is %v, want 1", c.name, c.level, got)
		}
	}
}

func TestDeterministicRules(t *testing.T) {
	t.Parallel()
	third := float32(alpha) / 3
	for _, c := range []struct {
		name   string
		kernel Kernel
		latent []float32
		want   []float32
	}{
		{"Sign", Sign,
			[]float32{-9, -alpha, -1e-30, float32(math.Copysign(0, -1)), 0, 1e-30, alpha, 9},
			[]float32{-alpha, -alpha, -alpha, alpha, alpha, alpha, alpha, alpha}},
		{"Threshold", Threshold,
			[]float32{-9, math.Nextafter32(-third, -1), -third, 0, third, math.Nextafter32(third, 1), 9},
			[]float32{-alpha, -alpha, 0, 0, 0, alpha, alpha}},
	} {
		got := make([]float32, len(c.latent))
		c.kernel(got, c.latent, fit, 0, 0)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s(%v) = %v, want %v", c.name, c.latent, got, c.want)
		}
	}
}

func TestZeroIsPositiveZero(t *testing.T) {
	t.Parallel()
	for _, kernel := range []Kernel{Bernoulli, Threshold} {
		got := []float32{1}
		kernel(got, []float32{-1e-9}, fit, 5, 0)
		if bits := math.Float32bits(got[0]); bits != 0 {
			t.Errorf("a small negative weight became %#x, want the bits of +0", bits)
		}
	}
}

// What an element becomes must not depend on how its matrix was cut.
func TestDrawsDoNotDependOnChunks(t *testing.T) {
	t.Parallel()
	const n = 1003
	latent := make([]float32, n)
	for i := range latent {
		latent[i] = alpha * float32(i-n/2) / n * 2
	}
	for name, kernel := range map[string]Kernel{"HardSigmoid": HardSigmoid, "Bernoulli": Bernoulli} {
		stream := random.NewStream(5, 6, name)
		whole, parts := make([]float32, n), make([]float32, n)
		kernel(whole, latent, fit, stream, 0)
		for _, size := range []int{2, 38, 500, 1002} {
			for from := 0; from < n; from += size {
				to := min(from+size, n)
				kernel(parts[from:to], latent[from:to], fit, stream, from)
			}
			if !slices.Equal(whole, parts) {
				t.Errorf("%s in chunks of %d differs from the whole", name, size)
			}
		}
	}
}

func TestKernelsReportWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, kernel := range map[string]Kernel{
		"Copy": Copy, "Sign": Sign, "HardSigmoid": HardSigmoid, "Threshold": Threshold, "Bernoulli": Bernoulli,
	} {
		for _, n := range []int{0, 1, 2, 7, 8} {
			latent, dst := make([]float32, n), make([]float32, n)
			if n > 0 {
				latent[0] = -math.MaxFloat32
			}
			if !kernel(dst, latent, fit, 1, 0) {
				t.Errorf("%s: %d finite weights were reported as not finite", name, n)
			}
			for i := range latent {
				for _, bad := range []float32{nan, -nan, inf, -inf} {
					was := latent[i]
					latent[i] = bad
					if kernel(dst, latent, fit, 1, 0) {
						t.Errorf("%s: %v at %d of %d went unnoticed", name, bad, i, n)
					}
					latent[i] = was
				}
			}
		}
	}
}

// Draws of one matrix at two steps, and of two matrices at one step, must be
// uncorrelated: |r| of n pairs is below 5/√n.
func TestDrawsAreUncorrelated(t *testing.T) {
	t.Parallel()
	const n = 50000
	latent := make([]float32, n) // ±α with probability ½ each
	draw := func(stream random.Stream) []float32 {
		dst := make([]float32, n)
		HardSigmoid(dst, latent, fit, stream, 0)
		return dst
	}
	base := draw(random.NewStream(1, 1, "Wh"))
	for name, other := range map[string][]float32{
		"next step":     draw(random.NewStream(1, 2, "Wh")),
		"next seed":     draw(random.NewStream(2, 1, "Wh")),
		"other matrix":  draw(random.NewStream(1, 1, "Wx")),
		"next element":  append(base[1:n:n], base[0]),
		"next but one":  append(base[2:n:n], base[:2]...),
		"next gate row": append(base[512:n:n], base[:512]...),
	} {
		var r float64
		for i := range base {
			r += float64(base[i]) * float64(other[i]) / (alpha * alpha * n)
		}
		if bound := 5 / math.Sqrt(n); math.Abs(r) > bound {
			t.Errorf("%s: correlation %v, want at most %v", name, r, bound)
		}
	}
}
