package ttq

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var negativeZero = float32(math.Copysign(0, -1))

// By hand, with the threshold ½: weights at the threshold are 0.
func TestTernarize(t *testing.T) {
	t.Parallel()
	latent := []float32{-2, -0.75, -0.5, -0.25, negativeZero, 0, 0.25, 0.5, 0.75, 1.5}
	for _, c := range []struct{ levels, want []float32 }{
		{[]float32{-5, 0, 3}, []float32{-5, -5, 0, 0, 0, 0, 0, 0, 3, 3}},
		{[]float32{5, 0, -3}, []float32{5, 5, 0, 0, 0, 0, 0, 0, -3, -3}}, // scales that training pushed below 0
		{[]float32{0, 0, 0}, make([]float32, 10)},
	} {
		got := make([]float32, len(latent))
		ternarize(got, latent, 0.5, c.levels)
		if !slices.Equal(got, c.want) {
			t.Errorf("levels %v: %v became %v, want %v", c.levels, latent, got, c.want)
		}
		for i, value := range got {
			if value == 0 && math.Signbit(float64(value)) {
				t.Errorf("levels %v: %v became −0, want +0", c.levels, latent[i])
			}
		}
	}
}

// By hand, with the threshold ½.
func TestBackward(t *testing.T) {
	t.Parallel()
	latent := []float32{-2, -0.75, -0.5, 0, 0.5, 0.75, 1.5}
	grad := []float32{1, 2, 4, 8, 16, 32, 64}
	positive, negative := backward(grad, latent, 0.5, 3, 5)
	if want := []float32{5, 10, 4, 8, 16, 96, 192}; !slices.Equal(grad, want) {
		t.Errorf("gradients of the latent weights %v, want %v", grad, want)
	}
	if positive != 96 || negative != -3 {
		t.Errorf("gradients of the scales %v and %v, want 96 and −3", positive, negative)
	}
}

// The gradients of the scales are the derivatives of L = Σ cᵢ·qᵢ, which is linear in
// them: central differences are exact but for rounding.
func TestGradientsOfScalesAreDerivatives(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const n, threshold, h = 257, 0.2, 1.0 / 64
	latent, grad := make([]float32, n), make([]float32, n)
	for i := range latent {
		latent[i], grad[i] = float32(random.NormFloat64()), float32(random.NormFloat64())
	}
	loss := func(positive, negative float32) (sum float64) {
		quantized := make([]float32, n)
		ternarize(quantized, latent, threshold, []float32{-negative, 0, positive})
		for i, value := range quantized {
			sum += float64(grad[i]) * float64(value)
		}
		return sum
	}
	const positive, negative = 1.25, 0.75
	gotPositive, gotNegative := backward(slices.Clone(grad), latent, threshold, positive, negative)
	for name, c := range map[string]struct{ got, want float64 }{
		"Wp": {gotPositive, (loss(positive+h, negative) - loss(positive-h, negative)) / (2 * h)},
		"Wn": {gotNegative, (loss(positive, negative+h) - loss(positive, negative-h)) / (2 * h)},
	} {
		if math.Abs(c.got-c.want) > 1e-9 || c.want == 0 {
			t.Errorf("gradient of %s is %v, central differences give %v", name, c.got, c.want)
		}
	}
}
