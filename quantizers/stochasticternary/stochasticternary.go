// Package stochasticternary is the ternary quantizer of "Learning Recurrent
// Binary/Ternary Weights" (Ardakani et al., ICLR 2019, arXiv 1809.11086).
//
// With the fixed scale α = ½·sqrt(6/(fan_in + 4·units)) of a matrix, each
// latent weight w is sampled anew at every training step:
//
//	P(sign(w)·α) = clip(|w/α|, 0, 1),  P(0) = 1 − P(sign(w)·α)
//
// The option sampling: deterministic takes sign(w)·α where |w| > α/3, else 0.
// The gradient passes straight through. Latent weights are not clipped.
package stochasticternary

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "stochastic-ternary".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "stochastic-ternary",
		Version: "1.1.0",
		Summary: "weights −α, 0, +α, nonzero at every step with a probability linear in the latent weight's size",
		Options: []plugins.Option{
			elementwise.SamplingOption(elementwise.Stochastic,
				"stochastic: sign(w)·α with probability clip(|w/α|, 0, 1), else 0; deterministic: sign(w)·α where |w| > α/3, else 0"),
		},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "scale", Value: "α = ½·sqrt(6/(fan_in + 4·units)) per matrix", Source: "arXiv 1809.11086"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		rule := elementwise.Rule{Fit: elementwise.Fixed(elementwise.Alpha), Kernel: elementwise.Bernoulli, Levels: elementwise.Ternary}
		if options.Text(elementwise.Sampling) == elementwise.Deterministic {
			rule.Kernel = elementwise.Threshold
		}
		return rule
	})
}
