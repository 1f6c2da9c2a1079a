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
// The paper's weights are ±1, and it divides the learning rate of a matrix by
// its Glorot coefficient, which is α = ½·sqrt(6/(rows + cols)) in the authors' code; an
// earlier version of that code has ±α and the learning rate as it is. The two take the
// same steps with Adam but for the factor α in the outputs, which a network without
// normalization needs: so scale: glorot, the default, is the second. Hou et al. (2019)
// train normalised networks with ±1 by the sign, the learning rate as it is and no
// clipping: scale: one, clip: false. They quantize the four matrices of the gates one by
// one; here a matrix holds all gates, which is the same where the scale is fixed.
//
// BinaryConnect has no normalisation of its own: whether the network around it
// normalises is an option of the model. The rows "BinaryConnect" that arXiv 1809.11086
// compares with are those without.
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
		Options: append([]plugins.Option{
			elementwise.SamplingOption(elementwise.Deterministic,
				"deterministic: +α where w ≥ 0, else −α; stochastic: +α with probability clip((w/α+1)/2, 0, 1)"),
		}, elementwise.ConnectOptions()...),
		Traits: []string{quantizer.TraitProject},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "1"},
			{Name: "method", Value: "sign or hard sigmoid, latent weights clipped", Source: "Courbariaux et al., NeurIPS 2015"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		scale, clip := elementwise.Connect(options)
		rule := elementwise.Rule{Fit: elementwise.Fixed(scale), Kernel: elementwise.Sign, Levels: elementwise.Binary, Clip: clip}
		if options.Text(elementwise.Sampling) == elementwise.Stochastic {
			rule.Kernel = elementwise.HardSigmoid
		}
		return rule
	})
}
