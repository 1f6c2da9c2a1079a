package vecmath

import "bittern/accel/kernels/isa"

// neon has the portable kernels where sums or random numbers would need vectors of 64-bit lanes.
var neon = kernels{
	sigmoid: sigmoidNEON, tanh: tanhNEON,
	add: addNEON, mul: mulNEON, axpy: axpyNEON,
	scale: scaleNEON, scaleShift: scaleShiftNEON, adam: adamNEON,
	reciprocalDeviation: portable.reciprocalDeviation, dot: portable.dot,
	max: portable.max, expSum: portable.expSum, sumExp: portable.sumExp,
	dropout: portable.dropout, transpose: transposeBlocked,
	sampleBinary: sampleBinary, sampleTernary: sampleTernary,
}

// forLevel returns the kernels of a level.
func forLevel(level isa.Level) *kernels {
	if level == isa.NEON {
		return &neon
	}
	return &portable
}
