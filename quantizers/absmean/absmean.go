// Package absmean is the ternary quantizer of "The Era of 1-bit LLMs: All Large Language
// Models are in 1.58 Bits" (Ma et al. 2024, arXiv 2402.17764), known as BitNet b1.58.
//
// With γ the mean of |w| over a matrix, a weight is γ times
//
//	round(clip(w/(γ + ε), −1, 1))    (equations 1 to 3)
//
// that is ±γ where |w| > (γ + ε)/2 and else 0. The paper gives no ε; it is 1e-5 here, the
// bound that its authors' code keeps γ above. The gradient passes straight through.
//
// BitNet also rounds what goes into a product to 8 bits. That is no part of the weights.
package absmean

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

const epsilon = 1e-5

// New returns the quantizer "absmean".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "absmean",
		Version: "1.0.0",
		Summary: "weights −γ, 0, +γ, the nearest to w, γ the mean size of a matrix's (BitNet b1.58)",
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "method", Value: "γ·round(clip(w/(γ + ε), −1, 1)), γ = mean|w|", Source: "Ma et al., arXiv 2402.17764"},
		},
	}, func(plugins.Values) elementwise.Rule {
		return elementwise.Rule{Fit: fit, Kernel: elementwise.Threshold, Levels: elementwise.Ternary}
	})
}

func fit(g elementwise.Group) elementwise.Fit {
	mean := g.MeanSize()
	return elementwise.Fit{Scale: float32(mean), Bound: float32((mean + epsilon) / 2)}
}
