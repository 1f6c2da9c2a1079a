// Package binaryconnect is the quantizer of "BinaryConnect: Training Deep
// Neural Networks with binary weights during propagations" (Courbariaux,
// Bengio & David, NeurIPS 2015).
//
// Weights are ±α, by the sign of the latent weight (its equation 1: +α where
// w ≥ 0) or, with the option sampling: stochastic, by a hard sigmoid (equations
// 2 and 3): P(+α) = clip((w/α + 1)/2, 0, 1). The gradient passes straight
// through, and latent weights are clipped to [−α, α] after each update
// (algorithm 1), since beyond it they no longer change what is computed.
//
// The scale α = ½·sqrt(6/(rows + cols)) is the one the other quantizers here
// use. BinaryConnect has no normalisation of its own: whether the network
// around it normalises is an option of the model. The rows "BinaryConnect" that
// arXiv 1809.11086 compares with are those without.
package binaryconnect

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "binaryconnect".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "binaryconnect",
		Version: "1.1.0",
		Summary: "weights ±α by the sign of the latent weight, which is clipped to [−α, α]",
		Options: []plugins.Option{
			elementwise.SamplingOption(elementwise.Deterministic,
				"deterministic: +α where w ≥ 0, else −α; stochastic: +α with probability clip((w/α+1)/2, 0, 1)"),
		},
		Traits: []string{quantizer.TraitProject},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "1"},
			{Name: "method", Value: "sign or hard sigmoid, latent weights clipped", Source: "Courbariaux et al., NeurIPS 2015"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		rule := elementwise.Rule{Kernel: elementwise.Sign, Levels: elementwise.Binary, Clip: true}
		if options.Text(elementwise.Sampling) == elementwise.Stochastic {
			rule.Kernel = elementwise.HardSigmoid
		}
		return rule
	})
}
