// Package laq is the m-bit quantizer of "Loss-aware Weight Quantization of Deep Networks"
// (Hou & Kwok, ICLR 2018, arXiv 1802.08635), LAQ.
//
// A proximal Newton step of the loss with a diagonal approximation d of the Hessian ends
// at weights α·b that minimise
//
//	Σ d·(α·b − w)²
//
// with d = sqrt(v) + 10⁻⁸ and v Adam's second moment of the gradient before the update, as
// in the authors' published code; v is zero before the first update, and every error
// counts the same. With m bits and k = 2^(m−1) − 1 the levels of b are 0 and
//
//	±1/k, ±2/k, … ±1             levels: linear, the default
//	±2^−(k−1), … ±¼, ±½, ±1      levels: logarithmic
//
// which is one less than m bits could hold; with m = 2 either is LAT, the quantizer lat
// with its approximate solver.
//
// In turns b is the level nearest to w/α, and α the best for b, until α moves by less than
// 10⁻⁶, ten times at most. The start is that of the quantizer lat. The best α for b is
// ‖b∘d∘w‖₁ / ‖b∘b∘d‖₁, scale: least-squares, which is the default. The published code
// divides by ‖b∘d‖₁ instead, scale: published-code. That makes no difference to ternary
// weights; with levels between 0 and 1 it does not minimise the error but ends at a
// smaller α, so that more weights are cut to ±α.
//
// The gradient passes straight through, and latent weights are clipped to [−1, 1] after
// each update, as in the published code. There is one α for a matrix. The authors' LSTM
// has a matrix for each gate; here a matrix holds all gates of a layer.
package laq

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/lossaware"
	"bittern/quantizers/internal/random"
)

const (
	bits          = "bits"
	levels        = "levels"
	linear        = "linear"
	logarithmic   = "logarithmic"
	leastSquares  = "least-squares"
	publishedCode = "published-code"
)

// New returns the quantizer "laq".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "laq",
		Version: "1.0.0",
		Summary: "weights of m bits, linear or logarithmic, with the least error as weighted by the roots of Adam's second moments",
		Options: []plugins.Option{
			{Name: bits, Type: plugins.Int, Default: "3", Min: 2, Max: 8, Doc: "width m of a weight"},
			{
				Name: levels, Type: plugins.String, Default: linear, Choices: []string{linear, logarithmic},
				Doc: "linear: multiples of the same step; logarithmic: 0 and α times powers of ½",
			},
			{
				Name: elementwise.Scale, Type: plugins.String, Default: leastSquares, Choices: []string{leastSquares, publishedCode},
				Doc: "least-squares: the best α for the levels taken; published-code: as the authors' code computes it, which is smaller from 3 bits on",
			},
		},
		Traits: []string{quantizer.TraitProject, quantizer.TraitSecondMoments},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "the option bits"},
			{Name: "method", Value: "proximal Newton step with Adam's second moments, latent weights clipped to [−1, 1]", Source: "Hou & Kwok, ICLR 2018"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		set := lossaware.Levels{Steps: 1<<(options.Int(bits)-1) - 1, Logarithmic: options.Text(levels) == logarithmic}
		scale := lossaware.LeastSquares
		if options.Text(elementwise.Scale) == publishedCode {
			scale = lossaware.PublishedCode
		}
		find := func(f *lossaware.Fit) float64 { return f.Alternate(set, scale) }
		weights := new(lossaware.Fit)
		return elementwise.Rule{
			Fit: func(g elementwise.Group) elementwise.Fit {
				return elementwise.Fit{Scale: set.Unit(weights.Alpha(g.Latent, g.Moments, find))}
			},
			Moments: true, Kernel: kernel(set), Levels: set.Multiples(), Clip: elementwise.Unit,
		}
	})
}

// kernel takes the nearest level. That the weights are finite is known from the fit.
func kernel(set lossaware.Levels) elementwise.Kernel {
	multiples := set.Multiples()
	return func(dst, latent []float32, fit elementwise.Fit, _ random.Stream, _ int) bool {
		codes := make([]uint16, len(latent))
		set.Code(codes, latent, fit.Scale)
		for i, code := range codes {
			dst[i] = fit.Scale * multiples[code]
		}
		return true
	}
}
