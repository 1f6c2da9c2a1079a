package datapath

import (
	"math"

	"bittern/accel/kernels/fixed"
)

// mostNormalized is the most elements of a vector that can be normalised: the squares of so many
// deviations of 24 bits add up to at most 2⁶¹, n·ε is at most as large, and the root unit takes
// numbers below 2⁶³.
const mostNormalized = 1 << 15

// normalize: y = (x − mean x) / √(var x + ε), where y are accumulators. The lanes add up x, and
// then the squares of the deviations from the mean. Both sums are exact. The root unit computes a
// factor from the second sum, and the lanes multiply the deviations by it.
type normalize struct {
	x, y view
	normalization
}

// normalization has the constants of a normalization, which depend on n and ε only.
type normalization struct {
	share      int64 // 1/n, a whole number of 24 bits over 2^shareShift
	shareShift int
	epsilon    uint64 // n·ε, in units of the squares of x; at least 1
	root       uint64 // √n, a whole number of 16 bits over 2^rootShift
	rootShift  int
}

// The bits of the constants of a normalization.
const (
	shareBits    = 24
	rootSizeBits = 16
)

func newNormalization(n int, epsilon float64, x format) normalization {
	constant := func(value float64, width int) (whole, shift int) {
		_, exponent := math.Frexp(value)
		shift = width - exponent
		return min(int(math.RoundToEven(math.Ldexp(value, shift))), 1<<width-1), shift
	}
	share, shareShift := constant(1/float64(n), shareBits)
	root, rootShift := constant(math.Sqrt(float64(n)), rootSizeBits)
	return normalization{
		share: int64(share), shareShift: shareShift,
		epsilon: uint64(max(1, math.RoundToEven(math.Ldexp(float64(n)*epsilon, 2*x.fraction)))),
		root:    uint64(root), rootShift: rootShift,
	}
}

// deviations sets d = x − mean x, saturated to 24 bits, and returns the factor that makes the
// normalised values of d as integers.
func (c normalization) deviations(d, x []int32) factor {
	var sum int64
	for _, v := range x {
		sum += int64(v)
	}
	mean := int32(signed(sum*c.share, c.shareShift))
	const limit = 1 << (accumulatorBits - 1)
	var squares uint64
	for i, v := range x {
		deviation := min(limit-1, max(-limit, v-mean))
		d[i] = deviation
		squares += uint64(int64(deviation) * int64(deviation))
	}
	g, p := root(squares + c.epsilon)
	return newFactor(c.root*g, -c.rootShift-rootFraction-p)
}

// signed is x/2^shift, rounded to the nearest whole number, the even one of two.
func signed(x int64, shift int) int64 {
	if x < 0 {
		return -int64(shifted(uint64(-x), shift))
	}
	return int64(shifted(uint64(x), shift))
}

func (i normalize) run(m *machine) error {
	n := i.y.size
	m.deviations, m.factors, m.zeros = grow(m.deviations, n), grow(m.factors, n), grow(m.zeros, n)
	for b := range m.sequences {
		factor := i.normalization.deviations(m.deviations, m.at(i.x, b))
		fill(m.factors, math.Ldexp(factor.value(), accumulator.fraction))
		fixed.ScaleIntegers(m.at(i.y, b), m.deviations, m.factors, m.zeros, lanes, conversion(accumulator, i.y.format))
	}
	return nil
}

// normalizer is the working memory of normalizations.
type normalizer struct {
	deviations, zeros []int32
	factors           []float64
}

func fill[T any](x []T, value T) {
	for i := range x {
		x[i] = value
	}
}
