// Package ternaryconnect is the quantizer TernaryConnect of "Neural Networks with Few
// Multiplications" (Lin, Courbariaux, Memisevic & Bengio, ICLR 2016, arXiv 1510.03009),
// in the original's form and in the one of "Normalization Helps Training of Quantized
// LSTM" (Hou, Zhu, Kwok, Gao, Qin & Liu, NeurIPS 2019).
//
// With sampling: stochastic, Lin et al.'s section 3.1, a latent weight w becomes
//
//	P(sign(w)·α) = clip(|w/α|, 0, 1),  P(0) = 1 − P(sign(w)·α)
//
// anew at every step, and latent weights are clipped to [−α, α] after each update. The
// paper's weights are −1, 0 and 1; its code has ±α with α = ½·sqrt(6/(rows + cols)),
// which is scale: glorot, the default.
//
// With sampling: deterministic a weight is sign(w)·α where |w| > Δ and else 0, with
//
//	Δ = 0.7·mean|w|
//
// over the matrix, as Hou et al.'s code has it (after Li & Liu 2016, whose scale it
// leaves to the normalization); all else of theirs is scale: one, clip: false. They
// quantize the four matrices of the gates one by one, and here one matrix holds all
// gates and has one Δ.
//
// The gradient passes straight through in both.
package ternaryconnect

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "ternaryconnect".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "ternaryconnect",
		Version: "1.0.0",
		Summary: "weights −α, 0, +α by a threshold or by chance, latent weights clipped to [−α, α]",
		Options: append([]plugins.Option{
			elementwise.SamplingOption(elementwise.Stochastic,
				"stochastic: sign(w)·α with probability clip(|w/α|, 0, 1), else 0; deterministic: sign(w)·α where |w| > 0.7·mean|w|, else 0, as Hou et al. 2019 have it"),
		}, elementwise.ConnectOptions()...),
		Traits: []string{quantizer.TraitProject},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "method", Value: "nonzero with a probability linear in the latent weight's size, latent weights clipped", Source: "Lin et al., ICLR 2016"},
			{Name: "deterministic method", Value: "threshold 0.7·mean|w|", Source: "Hou et al., NeurIPS 2019"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		scale, clip := elementwise.Connect(options)
		rule := elementwise.Rule{Fit: elementwise.Fixed(scale), Kernel: elementwise.Bernoulli, Levels: elementwise.Ternary, Clip: clip}
		if options.Text(elementwise.Sampling) == elementwise.Deterministic {
			rule.Kernel = elementwise.Threshold
			rule.Fit = func(g elementwise.Group) elementwise.Fit {
				return elementwise.Fit{Scale: scale(g.Rows, g.Cols), Bound: float32(0.7 * g.MeanSize())}
			}
		}
		return rule
	})
}
