// Package lsq is the quantizer of "Learned Step Size Quantization" (Esser, McKinstry,
// Bablani, Appuswamy & Modha, ICLR 2020, arXiv 1902.08153), of its weights.
//
// A matrix has a step s that is trained. A weight is (equations 1 and 2)
//
//	s·round(clip(w/s, −Q_N, Q_P)),  Q_N = 2^(k−1), Q_P = 2^(k−1) − 1
//
// with halves rounded to even. k = 2 gives the codes −2, −1, 0 and 1, k = 3 those from −4
// to 3 and k = 4 those from −8 to 7; with range: symmetric, as follow-ups have it, Q_N is
// Q_P, and k = 2 is ternary. The step starts at 2·mean|w|/sqrt(Q_P) (section 2.1). Its
// gradient is the sum of the weights' times (equation 3)
//
//	−w/s + round(w/s)  between −Q_N and Q_P,  −Q_N and Q_P at and beyond these
//
// times g = 1/sqrt(N·Q_P) (section 2.2), N the weights of the matrix. A latent weight's
// gradient is that of the quantized weight between −Q_N and Q_P and zero elsewhere
// (equation 5). The paper has one step for a layer; here that is one for a matrix, which
// in recurrent layers holds all gates. scale: row has a step for each row, with the g of
// the matrix, as much code that is called LSQ does.
//
// The paper has no k = 1, for which Q_P is 0. One bit is the extension of ParetoQ (Liu et
// al. 2025, arXiv 2502.02631; github.com/facebookresearch/ParetoQ, utils_quant.py): a
// weight is s·sign(w), +s for 0; s starts at mean|w|; its gradient is the sum of the
// weights' times sign(w), times 1/sqrt(N); the gradient of a latent weight passes where
// |w| ≤ s. The option range does not apply to it.
//
// The paper does not say what becomes of a step that training pushes to 0 or below. As
// in ParetoQ's code, the weights and the gradient are then those of a step of 1e-5, so that
// the step can grow again.
//
// The paper starts from trained weights and rounds what goes into a product too; neither
// is part of this quantizer.
package lsq

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/random"
)

// The options, and the choices of a range.
const (
	bits      = "bits"
	span      = "range"
	full      = "full"
	symmetric = "symmetric"
)

// New returns the quantizer "lsq".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "lsq",
		Version: "1.0.0",
		Summary: "weights of 1 to 4 bits, rounded to multiples of a step that is trained",
		Options: []plugins.Option{
			{Name: bits, Type: plugins.Int, Default: "2", Min: 1, Max: 4, Doc: "k, the width of a code; 1 is ±s, after ParetoQ"},
			{
				Name: span, Type: plugins.String, Default: full, Choices: []string{full, symmetric},
				Doc: "the codes, full: −2^(k−1) to 2^(k−1) − 1, as in the paper; symmetric: without the lowest; says nothing about 1 bit",
			},
			elementwise.GroupOption(elementwise.PerMatrix, "matrix: a step for the matrix, as the paper has it for a layer; row: for each row"),
		},
		Traits: []string{quantizer.TraitBackward, quantizer.TraitInitialise},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "the option bits"},
			{Name: "method", Value: "multiples of a trained step", Source: "Esser et al., ICLR 2020, arXiv 1902.08153"},
			{Name: "1 bit", Value: "sign times a trained scale", Source: "Liu et al., arXiv 2502.02631"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		rule := binary
		if k := options.Int(bits); k > 1 {
			rule = newCodes(k, options.Text(span) == symmetric).rule()
		}
		rule.Learned = []string{"step"}
		rule.Fit = func(g elementwise.Group) elementwise.Fit { return elementwise.Fit{Scale: positive(g.Learned[0])} }
		rule.PerRow = options.Text(elementwise.Scale) == elementwise.PerRow
		return rule
	})
}

// binary is the rule of one bit, without what all widths share.
var binary = elementwise.Rule{
	Initial:  func(g elementwise.Group) []float32 { return []float32{float32(g.MeanSize())} },
	Kernel:   elementwise.Sign,
	Levels:   elementwise.Binary,
	Backward: backwardOf(1, binaryBackward),
}

// rule is the rule of more bits, without what all widths share.
func (c codes) rule() elementwise.Rule {
	return elementwise.Rule{
		Initial: func(g elementwise.Group) []float32 { return []float32{c.initial(g.MeanSize())} },
		Kernel: func(dst, latent []float32, fit elementwise.Fit, _ random.Stream, _ int) bool {
			return c.quantize(dst, latent, fit.Scale)
		},
		Levels:   c.levels(),
		Backward: backwardOf(c.high, c.backward),
	}
}

// backwardOf is the Backward of a rule whose largest code is high.
func backwardOf(high float32, backward func(grad, latent []float32, step float32) float64) func(elementwise.Group, elementwise.Fit) {
	return func(g elementwise.Group, fit elementwise.Fit) {
		sum := g.Sum(func(from, to int) float64 { return backward(g.Grad[from:to], g.Latent[from:to], fit.Scale) })
		g.LearnedGrad[0] = float32(sum * gradientScale(g.Rows*g.Cols, high))
	}
}
