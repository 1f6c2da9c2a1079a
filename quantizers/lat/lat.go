// Package lat is the ternary quantizer of "Loss-aware Weight Quantization of Deep
// Networks" (Hou & Kwok, ICLR 2018, arXiv 1802.08635), LAT, with one scale for the
// positive and the negative weights.
//
// A proximal Newton step of the loss with a diagonal approximation d of the Hessian ends
// at weights α·b that minimise
//
//	Σ d·(α·b − w)²,  b from −1, 0 and 1
//
// with d = sqrt(v) + 10⁻⁸ and v Adam's second moment of the gradient before the update, as
// in the authors' published code. Before the first update v is zero, and every error
// counts the same.
//
// The default is the paper's LATa, solver: approximate, which is the default of the
// published code too: b = sign(w) where |w| > α/2, else 0, and α = ‖b∘d∘w‖₁ / ‖b∘d‖₁, in
// turns until α moves by less than 10⁻⁶, ten times at most. It starts from b of the
// weights above 0.7·mean|w|, as the published code does at its first step; at later steps
// that code starts from the b of the step before, which would make a step depend on all
// before it. LATe, solver: exact, is the best α of all: the paper sorts the weights by
// size and takes the number of largest ones with the smallest error. See package
// lossaware for how that is found in a few milliseconds.
//
// The gradient passes straight through, and latent weights are clipped to [−1, 1] after
// each update, as in the published code. There is one α for a matrix. The authors' LSTM
// has a matrix for each gate; here a matrix holds all gates of a layer.
package lat

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/lossaware"
)

const (
	solver      = "solver"
	approximate = "approximate"
	exact       = "exact"
)

// New returns the quantizer "lat".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "lat",
		Version: "1.0.0",
		Summary: "weights −α, 0, +α with the least error as weighted by the roots of Adam's second moments",
		Options: []plugins.Option{{
			Name: solver, Type: plugins.String, Default: approximate, Choices: []string{approximate, exact},
			Doc: "approximate: the scale and the threshold in turns (LATa); exact: the best of all scales (LATe)",
		}},
		Traits: []string{quantizer.TraitProject, quantizer.TraitSecondMoments},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "2"},
			{Name: "method", Value: "proximal Newton step with Adam's second moments, latent weights clipped to [−1, 1]", Source: "Hou & Kwok, ICLR 2018"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		find := func(f *lossaware.Fit) float64 { return f.Alternate(lossaware.Ternary, lossaware.LeastSquares) }
		if options.Text(solver) == exact {
			find = (*lossaware.Fit).Exact
		}
		weights := new(lossaware.Fit)
		return elementwise.Rule{
			Fit: func(g elementwise.Group) elementwise.Fit {
				alpha := weights.Alpha(g.Latent, g.Moments, find)
				return elementwise.Fit{Scale: float32(alpha), Bound: float32(alpha / 2)}
			},
			Moments: true, Kernel: elementwise.Threshold, Levels: elementwise.Ternary, Clip: elementwise.Unit,
		}
	})
}
