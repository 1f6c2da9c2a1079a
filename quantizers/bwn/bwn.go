// Package bwn is the quantizer of Binary-Weight-Networks in "XNOR-Net: ImageNet
// Classification Using Binary Convolutional Neural Networks" (Rastegari, Ordonez, Redmon
// & Farhadi, ECCV 2016, arXiv 1603.05279, section 3.1).
//
// A weight is sign(w)·α, +α for 0, with the scale
//
//	α = mean|w|
//
// which is the best one in the least-squares sense (the paper's equation 6). The paper
// has one for every filter, which is a row of a matrix: scale: row, the default. With
// scale: matrix there is one for a matrix, which holds all gates; Hou et al. (NeurIPS
// 2019) have that, for the matrix of each gate.
//
// The gradient with respect to a latent weight is the paper's, from "Training
// Binary-Weights-Networks", with n weights under a scale:
//
//	∂C/∂w = ∂C/∂w̃ · (1/n + α·1{|w| ≤ 1})
//
// It is small, about α times the one with respect to the quantized weight. Adam undoes
// that, and plain gradient descent does not: with gradient: straight-through it is passed
// on as it is, as Hou et al. do. The authors' code multiplies the paper's by
// n·(1 − 1/channels); and it centres the filters and clips latent weights to [−1, 1]
// after each update, of which the paper says nothing. These are left out.
package bwn

import (
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

const (
	gradient        = "gradient"
	scaled          = "scaled"
	straightThrough = "straight-through"
)

// New returns the quantizer "bwn".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "bwn",
		Version: "1.0.0",
		Summary: "weights ±α by the sign of the latent weight, α the mean of their sizes in a row or matrix",
		Options: []plugins.Option{
			elementwise.GroupOption(elementwise.PerRow, "row: a scale for each row, as the paper has one for each filter; matrix: one for the matrix"),
			{
				Name: gradient, Type: plugins.String, Default: scaled, Choices: []string{scaled, straightThrough},
				Doc: "scaled: times 1/n + α where |w| ≤ 1, else 1/n, for n weights under a scale, as the paper has it; straight-through: as it is",
			},
		},
		Traits: []string{quantizer.TraitBackward},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "1"},
			{Name: "method", Value: "sign and mean size", Source: "Rastegari et al., ECCV 2016"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		rule := elementwise.Rule{
			Fit: elementwise.MeanSize, PerRow: options.Text(elementwise.Scale) == elementwise.PerRow,
			Kernel: elementwise.Sign, Levels: elementwise.Binary,
		}
		if options.Text(gradient) == scaled {
			rule.Backward = backward
		}
		return rule
	})
}

func backward(g elementwise.Group, fit elementwise.Fit) {
	outside := float32(1 / float64(len(g.Latent)))
	inside := outside + fit.Scale
	g.Parts(func(from, to int) {
		grad := g.Grad[from:to]
		for i, w := range g.Latent[from:to] {
			if math.Abs(float64(w)) <= 1 {
				grad[i] *= inside
			} else {
				grad[i] *= outside
			}
		}
	})
}
