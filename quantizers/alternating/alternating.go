// Package alternating is the multi-bit quantizer of "Alternating Multi-bit Quantization for
// Recurrent Neural Networks" (Xu, Yao, Lin, Ou, Cao, Wang & Zha, ICLR 2018, arXiv
// 1802.00150).
//
// Each row of a matrix is a sum of k planes of signs with a scale each,
//
//	w ≈ α₁b₁ + … + α_k b_k,  b = ±1
//
// found so that ‖w − Σ αb‖² is small. The option solver says how:
//
//   - greedy, one plane after another, with r what the planes before leave: α = mean|r| and
//     b = sign(r);
//   - refined (Guo, Yao, Zhao & Chen, "Network Sketching", CVPR 2017): greedy, but after
//     each plane all scales so far are found anew by least squares, α = (BᵀB)⁻¹Bᵀw;
//   - alternating, the paper's and the default: it starts greedily, and then in turns
//     finds the scales for the codes by least squares, and for the scales, which ordered
//     are α₁ ≥ … ≥ α_k ≥ 0, the code whose value is nearest to each weight, by a binary
//     search tree of the 2^k values. The option cycles is the number of turns; the paper
//     takes 2.
//
// The gradient passes straight through, and latent weights are clipped to [−1, 1] after
// each update. Inputs of products are quantized in the paper too, hidden states with the
// same method; here that is the network's, not the quantizer's.
package alternating

import (
	"sync"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

const (
	bits        = "bits"
	cycles      = "cycles"
	solver      = "solver"
	alternating = "alternating"
	greedy      = "greedy"
	refined     = "refined"
)

// New returns the quantizer "alternating".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "alternating",
		Version: "1.0.0",
		Summary: "rows that are sums of 2 to 4 planes of signs with a scale each, by alternating least squares",
		Options: []plugins.Option{
			{Name: bits, Type: plugins.Int, Default: "2", Min: 2, Max: maxPlanes, Doc: "number of planes, the width of a weight"},
			{
				Name: solver, Type: plugins.String, Default: alternating, Choices: []string{alternating, greedy, refined},
				Doc: "greedy: one plane after another; refined: the scales anew by least squares after each plane; alternating: scales and codes in turns after a greedy start",
			},
			{Name: cycles, Type: plugins.Int, Default: "2", Min: 1, Max: 100, Doc: "turns of the alternating solver; the others take none"},
		},
		Traits: []string{quantizer.TraitProject},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "the option bits"},
			{Name: "method", Value: "alternating least squares and nearest codes, a scale per plane and row, latent weights clipped to [−1, 1]", Source: "Xu et al., ICLR 2018"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		turns := options.Int(cycles)
		solve := func(r *row) { r.alternating(turns) }
		switch options.Text(solver) {
		case greedy:
			solve = (*row).greedy
		case refined:
			solve = (*row).refined
		}
		residuals := sync.Pool{New: func() any { return new([]float32) }}
		return elementwise.Rule{
			PerRow: true, Clip: elementwise.Unit,
			Planes: &elementwise.Planes{
				Count: options.Int(bits),
				Solve: func(weights []float32, codes []uint8, scales []float32) []float32 {
					residual := residuals.Get().(*[]float32)
					defer residuals.Put(residual)
					if len(*residual) < len(weights) {
						*residual = make([]float32, len(weights))
					}
					r := row{weights: weights, codes: codes, scales: scales, residual: (*residual)[:len(weights)]}
					solve(&r)
					values := sums(scales)
					return values[:]
				},
			},
		}
	})
}
