// Package stochasticbinary is the binary quantizer of "Learning Recurrent
// Binary/Ternary Weights" (Ardakani et al., ICLR 2019, arXiv 1809.11086).
//
// With the fixed scale α = ½·sqrt(6/(fan_in + 4·units)) of a matrix, each
// latent weight w is sampled anew at every training step:
//
//	P(+α) = clip((w/α + 1)/2, 0, 1),  P(−α) = 1 − P(+α)
//
// The option sampling: deterministic takes sign(w)·α instead, with +α for 0.
// The gradient passes straight through. Latent weights are not clipped; the
// quantizer binaryconnect with sampling: stochastic is this one with clipping.
package stochasticbinary

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "stochastic-binary".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "stochastic-binary",
		Version: "1.1.0",
		Summary: "weights ±α, sampled at every step with a probability linear in the latent weight",
		Options: []plugins.Option{
			elementwise.SamplingOption(elementwise.Stochastic,
				"stochastic: +α with probability clip((w/α+1)/2, 0, 1); deterministic: sign(w)·α"),
		},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "1"},
			{Name: "scale", Value: "α = ½·sqrt(6/(fan_in + 4·units)) per matrix", Source: "arXiv 1809.11086"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		rule := elementwise.Rule{Fit: elementwise.Fixed(elementwise.Alpha), Kernel: elementwise.HardSigmoid, Levels: elementwise.Binary}
		if options.Text(elementwise.Sampling) == elementwise.Deterministic {
			rule.Kernel = elementwise.Sign
		}
		return rule
	})
}
