// Package twn is the quantizer of "Ternary Weight Networks" (Li, Zhang & Liu 2016, arXiv
// 1605.04711).
//
// A weight is sign(w)·α where |w| > Δ and else 0, with the threshold and the scale
//
//	Δ = 0.7·mean|w|                   (equation 6)
//	α = mean of |w| over |w| > Δ      (equation 5)
//
// α is the best scale for Δ in the least-squares sense, and Δ close to the best threshold
// where the weights are spread evenly or normally. There is one of each for a matrix, as
// the paper has one for a layer, or one for a row with scale: row. The matrix of a
// recurrent layer holds all its gates; Hou et al. (NeurIPS 2019) treat the matrices of
// the gates one by one.
//
// The gradient passes straight through.
package twn

import (
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "twn".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "twn",
		Version: "1.0.0",
		Summary: "weights −α, 0, +α by the threshold 0.7·mean|w|, α the mean size of those beyond",
		Options: []plugins.Option{
			elementwise.GroupOption(elementwise.PerMatrix, "matrix: a threshold and a scale for the matrix, as the paper has them for a layer; row: for each row"),
		},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "method", Value: "threshold 0.7·mean|w| and mean size beyond it", Source: "Li et al., arXiv 1605.04711"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		return elementwise.Rule{
			Fit: fit, PerRow: options.Text(elementwise.Scale) == elementwise.PerRow,
			Kernel: elementwise.Threshold, Levels: elementwise.Ternary,
		}
	})
}

func fit(g elementwise.Group) elementwise.Fit {
	mean := g.MeanSize()
	if mean == 0 || math.IsNaN(mean) || math.IsInf(mean, 0) {
		return elementwise.Fit{Scale: float32(mean)}
	}
	threshold := float32(0.7 * mean)
	return elementwise.Fit{Scale: float32(g.MeanSizeAbove(threshold)), Bound: threshold}
}
