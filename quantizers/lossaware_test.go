package quantizers_test

import (
	"math"
	"slices"
	"testing"

	"bittern/plugins/quantizer"
)

// Quantized weights computed by hand, of matrices of 2×3, for quantizers that solve for
// their scales: with the second moments given, or zeros, as before the first update.
func TestSolversByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		latent  [6]float32
		moments [6]float32
		want    [6]float32
	}{
		// d = 3, 1, 2, 1, 0, 0 but for 10⁻⁸: ‖d∘w‖₁ = 3 + 2 + 6 = 11 over ‖d‖₁ = 7; without moments
		// the mean size 7.5/6.
		{
			setting: "lab", latent: [6]float32{-1, 2, 3, 0, -1, 0.5}, moments: [6]float32{9, 1, 4, 1, 0, 0},
			want: [6]float32{-11. / 7, 11. / 7, 11. / 7, 11. / 7, -11. / 7, 11. / 7},
		},
		{setting: "lab", latent: [6]float32{-1, 2, 3, 0, -1, 0.5}, want: [6]float32{-1.25, 1.25, 1.25, 1.25, -1.25, 1.25}},
		// The mean size is 3: above 2.1 lie 4, 10 and 3, of mean 17/3; its half leaves the same.
		{setting: "lat", latent: [6]float32{4, -10, 1, -3, 0, 0}, want: [6]float32{17. / 3, -17. / 3, 0, -17. / 3, 0, 0}},
		// (Σ|w|)²/n is 100 for the largest, 98 for two and 96⅓ for three.
		{setting: "lat solver=exact", latent: [6]float32{4, -10, 1, -3, 0, 0}, want: [6]float32{0, -10, 0, 0, 0, 0}},
		// With d = 9, 1, 1, 1: 100, 46²/10 = 211.6, 49²/11 = 218.3, 50²/12 = 208.3.
		{
			setting: "lat solver=exact", latent: [6]float32{4, -10, 1, -3, 0, 0}, moments: [6]float32{81, 1, 1, 1, 0, 0},
			want: [6]float32{49. / 11, -49. / 11, 0, -49. / 11, 0, 0},
		},
		// It starts at the mean 8/3 of what is above 0.7·10/6. 3, 2 and 1 are then nearest to
		// 3, 2 and 1 thirds of it, Σbw = 8 and Σb² = 8/3: α = 3, and the step 1.
		{setting: "laq", latent: [6]float32{3, -2, 1, 0, -3, 1}, want: [6]float32{3, -2, 1, 0, -3, 1}},
		// With d = 4 for the first, 0.375 is nearest to 0: Σdbw = 12 + 2·⅔ + 3 + ⅓ = 50/3 and Σdb² =
		// 4 + 4/9 + 1 + 1/9 = 50/9, so that α = 3 again.
		{
			setting: "laq", latent: [6]float32{3, -2, 1, 0.375, -3, 0}, moments: [6]float32{16, 1, 1, 1, 1, 1},
			want: [6]float32{3, -2, 1, 0, -3, 0},
		},
		// From 10/3 the levels of 4, 2 and 1 are 1, ½ and ¼: Σbw = 9.5 and Σb² = 2.375.
		{setting: "laq levels=logarithmic", latent: [6]float32{4, -2, 1, 0, -4, 1}, want: [6]float32{4, -2, 1, 0, -4, 1}},
		// Rows of 1 ± ¼ and 1 ± ½. The greedy codes are right and least squares finds the scales.
		{setting: "alternating", latent: [6]float32{1.25, -0.75, 0.75, 0.5, -1.5, 1.5}, want: [6]float32{1.25, -0.75, 0.75, 0.5, -1.5, 1.5}},
		// Greedily the scales of the first row are 11/12, 2/9 and 2/27, of the second 7/6, 4/9 and 4/27.
		{
			setting: "alternating solver=greedy", latent: [6]float32{1.25, -0.75, 0.75, 0.5, -1.5, 1.5},
			want: [6]float32{
				11./12 + 2./9 + 2./27, -11./12 + 2./9 - 2./27, 11./12 - 2./9 + 2./27,
				7./6 - 4./9 - 4./27, -7./6 - 4./9 + 4./27, 7./6 + 4./9 - 4./27,
			},
		},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			w := weight("w", 2, 3)
			copy(w.Latent, c.latent[:])
			copy(w.Moment2, c.moments[:])
			quantize(t, opened(t, settings[c.setting], []quantizer.Weight{w}), quantizer.Draw{})
			for i, got := range w.Quantized {
				if math.Abs(float64(got-c.want[i])) > 5e-7 {
					t.Errorf("%v with the moments %v became %v, want %v", c.latent, c.moments, w.Quantized, c.want)
					break
				}
			}
		})
	}
}

// With two bits there is one positive level: either set of levels is that of lat, and
// so is what is written.
func TestTwoBitsOfLAQAreLAT(t *testing.T) {
	t.Parallel()
	want := weights()
	quantize(t, opened(t, settings["lat"], want), quantizer.Draw{})
	for _, name := range []string{"laq bits=2", "laq bits=2 logarithmic", "laq bits=2 published code"} {
		got := weights()
		quantize(t, opened(t, settings[name], got), quantizer.Draw{})
		for i, w := range got {
			if !slices.Equal(w.Quantized, want[i].Quantized) {
				t.Errorf("%s: %s differs from what lat writes", name, w.Name)
			}
		}
	}
}
