package lut

import "bittern/accel/kernels/isa"

// kernels are the functions of one instruction-set level. They trust their
// arguments: lengths are checked where the package is entered.
type kernels struct {
	int14, int8 [2]summation[int32] // by planes − 1

	// These make the tables of partial sums of activations, whose number is a
	// whole number of chunks. Those of int8, by planes − 1, are rounded:
	// (sum·multiplier + 2¹⁴) >> 15, where sums are at most what int8Largest returns.
	int14Tables func(tables []byte, q []int16)
	int8Tables  [2]func(tables []byte, q []int16, multiplier int16)
	int8Largest [2]func(q []int16) int32

	// largest returns the bits of max|x|. A NaN counts as larger than any number.
	largest func(x []float32) uint32

	// quantize sets q[i] = x[i]·inverse rounded to the nearest whole number, ties to
	// even, and returns Σ q. The length is a multiple of 16.
	quantize func(q []int16, x []float32, inverse float32) int32

	// fromIntegers turns the int32 that y holds into float32: y = y·factor.
	// fromIntegersScaleShift sets y = y·factor·scale + shift.
	fromIntegers           func(y []float32, factor float32)
	fromIntegersScaleShift func(y []float32, factor float32, scale, shift []float32)

	// choose[n−2] sets y[i] to the highest of n levels whose bit i is set, or to
	// level 0, which has no bits. The bits of level k begin at byte (k−1)·plane.
	// The value of level k for element i is levels[k·distance + i·step]; for a
	// step of 0 the level is repeated to a vector of repeats.
	// chooseScaleAdd[n−2] sets y[i] to scale[i] times that, plus other[i].
	choose         [2]func(y []float32, bits []byte, plane int, levels []float32, distance, step int)
	chooseScaleAdd [2]func(y []float32, bits []byte, plane int, levels []float32, distance, step int, scale, other []float32)

	// codedSums sums, in blocks of 64 rows, the levels of codes times x, which holds
	// float32: dst[r] = Σ levels[code]·x over columns, each product rounded and then
	// added, column after column, in float32. columns is the even number of columns of
	// a chunk and bits the width of a code; see coded. repeated returns the levels.
	codedSums func(dst []float32, codes, x []byte, chunks int, levels []float32, bits, columns int)

	// codedColumn sets y to the levels of codes: first those of the lowest code of each
	// of 16 words of 32 bits, then those of the next code of the same words, and so on,
	// rows codes in each word. The length of y is a multiple of 16·rows.
	codedColumn func(y []float32, codes []byte, levels []float32, bits, rows int)

	// dense sets y = W·x where w holds blocks of lanes rows, column after
	// column; the last block may be of fewer rows in y.
	dense func(y, w, x []float32)
	lanes int

	// together has the kernels for several vectors, the one for the most first. It is empty
	// where products with several vectors are computed one after the other.
	together []denseTogether
}

// denseTogether multiplies by a number of vectors. add adds products of two blocks of w, which are
// block elements apart, to sums, which hold the lanes rows of a block for one vector after the
// other, then those of the next block. Of the columns it takes one, and then each denseApart
// columns further on, columns in all. x has an element of each vector for each column of w. As
// many elements of ahead as it takes of w are prefetched.
type denseTogether struct {
	vectors int
	add     func(sums, w, x []float32, block, columns int, ahead []float32)
}

// denseApart is how many sums dense keeps for a row at the vector levels: sum i is that of
// columns i, i + denseApart and so on, and sum 0 also that of the columns beyond the last whole
// denseApart. In the end the upper half of the sums is added to the lower, until one is left.
const denseApart = 8

// repeats is the number of float32 in the widest vector.
const repeats = 16

// summation is how an instruction-set level sums over one plane of bits, or over two planes
// of equal weight.
type summation[Sum int32 | float32] struct {
	layout

	// sums sums rows in blocks: dst[r] = Σ ±activation over planes and columns.
	sums func(dst []Sum, codes, tables []byte, chunks int)

	// together adds the same sums of togetherSums vectors to dst, over some chunks of so many
	// blocks: first is the number of their first table, codes begins with them, and skip bytes
	// of codes lie behind those of a block. It is nil where there is none.
	together func(dst *[togetherSums][]Sum, codes []byte, tables *[togetherSums][]byte, first, chunks, skip, blocks int)
}

// togetherSums is how many vectors are summed together.
const togetherSums = 4

// active is chosen once, by package isa.
var active = forLevel(isa.Current())
