package lossaware

import (
	"math"

	"bittern/quantizers/internal/parallel"
)

// The limits of the authors' published code: at most this many rounds, and no further round
// after one that changed α by less than the tolerance.
const (
	rounds    = 10
	tolerance = 1e-6
)

// firstThreshold times the mean of |w| is the size from which on a weight counts in the
// first α, as in the authors' published code (and in Ternary Weight Networks, Li et al.
// 2016). There the signs of the weights quantized at the step before take its place from
// the second step on; here a step does not know the one before, so that any can be
// replayed.
const firstThreshold = 0.7

// Scale is how a round finds α from b.
type Scale int

const (
	// LeastSquares is α = ‖b∘d∘w‖₁ / ‖b∘b∘d‖₁, which minimises the error for the given
	// b: no round makes the error larger.
	LeastSquares Scale = iota
	// PublishedCode is α = ‖b∘d∘w‖₁ / ‖b∘d‖₁, as the authors' published code has it. It
	// is the same for ternary levels; with levels between 0 and 1 it gives a smaller α
	// than least squares.
	PublishedCode
)

// Alternate returns α. In turns it sets b to the levels nearest to w/α, and computes α from b.
func (f *Fit) Alternate(levels Levels, scale Scale) float64 {
	alpha := f.first()
	for range rounds {
		was := alpha
		alpha = f.round(levels, scale, alpha)
		if math.Abs(alpha-was) < tolerance {
			break
		}
	}
	return alpha
}

// first is α with b = sign(w) where |w| reaches the first threshold, else 0.
func (f *Fit) first() float64 {
	return f.from(firstThreshold * f.total.size / float64(len(f.elements))).alpha()
}

// round returns the next α. If every weight is nearest to 0, α stays as it is.
func (f *Fit) round(levels Levels, scale Scale, alpha float64) float64 {
	// A weight's b is the sum of the steps between those levels that it reaches.
	reached := make([]sums, levels.Steps+1)
	parallel.Each(levels.Steps, func(i int) {
		step := i + 1
		reached[step] = f.from(alpha * (levels.fraction(step-1) + levels.fraction(step)) / 2)
	})
	var product, divisor float64
	for step := 1; step <= levels.Steps; step++ {
		b, below := levels.fraction(step), levels.fraction(step-1)
		product += (b - below) * reached[step].product
		if scale == LeastSquares {
			divisor += (b*b - below*below) * reached[step].weight
		} else {
			divisor += (b - below) * reached[step].weight
		}
	}
	if divisor == 0 {
		return alpha
	}
	return product / divisor
}
