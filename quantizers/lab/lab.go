// Package lab is the quantizer of "Loss-aware Binarization of Deep Networks" (Hou, Yao &
// Kwok, ICLR 2017, arXiv 1611.01600), LAB.
//
// It minimises the loss, not the distance to the latent weights: a proximal Newton step
// with a diagonal approximation d of the Hessian ends at
//
//	α = ‖d∘w‖₁ / ‖d‖₁,  b = sign(w),  quantized weights α·b
//
// with d = sqrt(v) + 10⁻⁸ and v Adam's second moment of the gradient before the update, as
// in the authors' published code. Before the first update v is zero, and α the mean size
// of the weights. The gradient passes straight through, and latent weights are clipped to
// [−1, 1] after each update, as in that code.
//
// There is one α for a matrix. The authors' LSTM has a matrix for each gate; here a
// matrix holds all gates of a layer.
package lab

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/lossaware"
)

// New returns the quantizer "lab".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "lab",
		Version: "1.0.0",
		Summary: "weights ±α, α the mean size weighted by the roots of Adam's second moments",
		Traits:  []string{quantizer.TraitProject, quantizer.TraitSecondMoments},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "1"},
			{Name: "method", Value: "proximal Newton step with Adam's second moments, latent weights clipped to [−1, 1]", Source: "Hou et al., ICLR 2017"},
		},
	}, func(plugins.Values) elementwise.Rule {
		return elementwise.Rule{
			Fit: fit, Moments: true, Kernel: elementwise.Sign, Levels: elementwise.Binary, Clip: elementwise.Unit,
		}
	})
}

// fit returns a scale that is not finite if a latent weight or a second moment is not, and 0 if
// all weights are 0.
func fit(g elementwise.Group) elementwise.Fit {
	weight, product := g.Sums(func(from, to int) (float64, float64) {
		return lossaware.Weigh(g.Latent[from:to], g.Moments[from:to])
	})
	return elementwise.Fit{Scale: float32(product / weight)}
}
