// Package ttq is the quantizer of "Trained Ternary Quantization" (Zhu, Han, Mao & Dally,
// ICLR 2017, arXiv 1612.01064).
//
// A matrix has two scales, Wp and Wn, that are trained. With the threshold Δ = t·max|w| a
// weight is (equation 6)
//
//	 Wp   where w > Δ
//	 0    where |w| ≤ Δ
//	−Wn   where w < −Δ
//
// With G the gradient of the loss with respect to the quantized weights, that with respect
// to the scales is the sum of G over the weights that have them (equation 7), and that
// with respect to a latent weight is G times Wp, 1 or Wn (equation 8). The sum for Wn has a
// minus sign, since the level is −Wn: it is the derivative, and what the authors' code
// (github.com/czhu95/ternarynet, ternary.py) computes. No gradient goes through Δ.
//
// The paper has one pair of scales for a layer; here that is one for a matrix, which in
// recurrent layers holds all gates. Scales start at 1, as in the authors' code. Their
// networks normalize what comes out of a layer; in one that does not, scales of 1 are
// far from the size of the weights. initial: mean starts both at the mean of |w| beyond Δ,
// the scale of Ternary Weight Networks for this threshold, which is ours. The authors
// start from trained weights divided by the largest; as Δ is relative, the rule gives the
// same without the division.
//
// Nothing keeps the scales above 0, in the paper or in its code: one that training pushes
// below is used as it is, and the level changes sides. One of exactly 0 stops the gradient
// of its weights, not its own, so it can leave 0 again.
package ttq

import (
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/random"
)

// The options, and the first values of scales.
const (
	threshold = "threshold"
	initial   = "initial"
	one       = "one"
	mean      = "mean"
)

// New returns the quantizer "ttq".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "ttq",
		Version: "1.0.0",
		Summary: "weights −Wn, 0, +Wp with two scales a matrix that are trained, by the threshold t·max|w|",
		Options: []plugins.Option{
			{
				Name: threshold, Type: plugins.Float, Default: "0.05", Min: 0, Max: 0.95,
				Doc: "t: weights of at most t times the largest size in their matrix are 0",
			},
			{
				Name: initial, Type: plugins.String, Default: one, Choices: []string{one, mean},
				Doc: "the scales at the start, one: 1, as in the authors' code, for networks that normalize; mean: the mean of |w| beyond the threshold",
			},
		},
		Traits: []string{quantizer.TraitBackward, quantizer.TraitInitialise},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "method", Value: "two trained scales a matrix, threshold t·max|w|", Source: "Zhu et al., ICLR 2017, arXiv 1612.01064"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		t := float32(options.Float(threshold))
		rule := elementwise.Rule{
			Learned: []string{"positive", "negative"},
			Initial: func(elementwise.Group) []float32 { return []float32{1, 1} },
			Fit:     func(g elementwise.Group) elementwise.Fit { return fit(g, t) },
			Kernel:  kernel, Backward: backwardOf,
		}
		if options.Text(initial) == mean {
			rule.Initial = func(g elementwise.Group) []float32 {
				fit := fit(g, t)
				if fit.Scale != 1 {
					return []float32{fit.Scale, fit.Scale}
				}
				scale := float32(g.MeanSizeAbove(fit.Bound))
				return []float32{scale, scale}
			}
		}
		return rule
	})
}

// fit finds the threshold. Its levels are −Wn, 0 and Wp, in this order.
func fit(g elementwise.Group, t float32) elementwise.Fit {
	largest, _ := g.MaxSize()
	if largest == 0 || math.IsNaN(float64(largest)) || math.IsInf(float64(largest), 0) {
		return elementwise.Fit{Scale: largest} // which is an error
	}
	return elementwise.Fit{Scale: 1, Bound: t * largest, Levels: []float32{0 - g.Learned[1], 0, 0 + g.Learned[0]}}
}

func kernel(dst, latent []float32, fit elementwise.Fit, _ random.Stream, _ int) bool {
	ternarize(dst, latent, fit.Bound, fit.Levels)
	return true // Fit has looked
}

func backwardOf(g elementwise.Group, fit elementwise.Fit) {
	positive, negative := g.Sums(func(from, to int) (float64, float64) {
		return backward(g.Grad[from:to], g.Latent[from:to], fit.Bound, g.Learned[0], g.Learned[1])
	})
	g.LearnedGrad[0], g.LearnedGrad[1] = float32(positive), float32(negative)
}
