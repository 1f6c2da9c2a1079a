// Package fixedpoint is the quantizer that rounds weights to fixed point: two's
// complement integers of k bits times a power of two, which hardware applies by a shift.
// With 12 bits it has the weights of the full-precision accelerator of "Learning
// Recurrent Binary/Ternary Weights" (Ardakani et al., ICLR 2019, section 6).
//
// The step between two values follows the largest latent weight of a matrix, as in the
// dynamic fixed point of Courbariaux, Bengio & David (arXiv 1412.7024), by the rule of
// Gysel, Motamedi & Ghiasi (Ristretto, arXiv 1604.03168): the integer part gets as many
// bits as that weight needs, with its sign, and the fraction the rest,
//
//	step = 2^(⌈log₂ max|w|⌉ + 1 − k)
//	q(w) = step · clip(round(w/step), −2^(k−1), 2^(k−1) − 1)
//
// with halves rounded to even. Only a weight within half a step of the power of two is
// clipped, by at most a step.
//
// Weights are rounded before every training step, and the gradient passes straight
// through. The step is not kept from one training step to the next.
package fixedpoint

import (
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/random"
)

const bits = "bits"

// New returns the quantizer "fixed-point".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "fixed-point",
		Version: "1.0.0",
		Summary: "weights rounded to two's complement integers of k bits times a power of two",
		Options: []plugins.Option{{
			Name: bits, Type: plugins.Int, Default: "12", Min: 2, Max: 16,
			Doc: "width of a weight; 12 is the paper's full-precision accelerator",
		}},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "the option bits"},
			{Name: "method", Value: "dynamic fixed point, a step for each matrix", Source: "Courbariaux et al., arXiv 1412.7024; Gysel et al., arXiv 1604.03168"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		half := 1 << (options.Int(bits) - 1)
		rule := elementwise.Rule{
			Fit: func(g elementwise.Group) elementwise.Fit {
				largest, _ := g.MaxSize()
				return elementwise.Fit{Scale: step(largest, options.Int(bits))}
			},
			Kernel: func(dst, latent []float32, fit elementwise.Fit, _ random.Stream, _ int) bool {
				return round(dst, latent, fit.Scale, float32(half))
			},
		}
		for level := -half; level < half; level++ {
			rule.Levels = append(rule.Levels, float32(level))
		}
		return rule
	})
}

// step returns the step for a largest |w|. It is not finite if |w| is not, and 0 for 0.
// Steps are kept within 2⁻¹²⁶ and 2^(128−k), so that they, their inverses and the levels
// are normal numbers: weights beyond ±2¹²⁷ are clipped.
func step(largest float32, bits int) float32 {
	if largest == 0 || largest-largest != 0 { // an infinity or a NaN
		return largest
	}
	fraction, exponent := math.Frexp(float64(largest)) // largest = fraction · 2^exponent, ½ ≤ fraction < 1
	if fraction == 0.5 {
		exponent--
	}
	return float32(math.Ldexp(1, max(-126, min(exponent+1-bits, 128-bits))))
}

// round writes the nearest multiples of step between −half and half − 1, and says
// whether all latent weights are finite.
func round(dst, latent []float32, step, half float32) bool {
	const nearest = 3 << 22 // 1.5·2²³: numbers of this size have no fraction, so adding it rounds
	dst, inverse, seen := dst[:len(latent)], 1/step, float32(0)
	for i, w := range latent {
		seen += w - w // NaN for an infinity or a NaN
		code := min(max(w*inverse, -half), half-1)
		// The conversion keeps the sum from being fused with what it is taken from.
		dst[i] = (float32(code+nearest) - nearest) * step
	}
	return seen == 0
}
