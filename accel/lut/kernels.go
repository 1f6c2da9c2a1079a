package lut

import "bittern/accel/isa"

// kernels are the functions of one instruction-set level. They trust their
// arguments: lengths are checked where the package is entered.
type kernels struct {
	integer summation[int16, int32]
	exact   summation[float32, float32]

	// largest returns the bits of max|x|; those of a NaN are above all others.
	largest func(x []float32) uint32

	// quantize sets q[i] = x[i]·inverse rounded to the nearest whole number, the
	// even one of two, and returns Σ q. The length is a multiple of 16.
	quantize func(q []int16, x []float32, inverse float32) int32

	// fromIntegers turns the int32 that y holds into float32: y = y·factor.
	// fromIntegersScaleShift sets y = y·factor·scale + shift.
	fromIntegers           func(y []float32, factor float32)
	fromIntegersScaleShift func(y []float32, factor float32, scale, shift []float32)

	// choose[n−2] sets y[i] to the highest of n levels whose bit i is set, or to
	// level 0, which has no bits. The bits of level k begin at byte (k−1)·plane.
	// The value of level k for element i is levels[k·distance + i·step]; for a
	// step of 0 the level is repeated to a vector of repeats.
	choose [2]func(y []float32, bits []byte, plane int, levels []float32, distance, step int)

	// dense sets y = W·x where w holds blocks of lanes rows, column after
	// column; the last block may be of fewer rows in y.
	dense func(y, w, x []float32)
	lanes int
}

// repeats is the widest vector in float32.
const repeats = 16

// summation is how a level sums over planes of bits, whatever the numbers.
type summation[Activation int16 | float32, Sum int32 | float32] struct {
	layout

	// tables makes the tables of partial sums of activations, whose number is a
	// whole number of chunks.
	tables func(tables []byte, activations []Activation)

	// sums[n−1] sums rows in blocks over n planes: dst[r] = Σ ±activation over
	// planes and columns.
	sums [2]func(dst []Sum, codes, tables []byte, chunks int)
}

// active is decided once, by package isa.
var active = forLevel(isa.Current())
