package matmul

import "math"

// A product of bfloat16 rounds both operands, to nearest even, and sums in float32. It computes
// with words: the bits of two bfloat16 that are neighbours in depth, the first in the lower half,
// stored in the place of one float32. A matrix of words has half the depth, rounded up, and is
// packed like one of float32. Where the depth is odd the last word ends with 0.
//
// A word of A and one of B add to their sum as VDPBF16PS has it (Intel SDM volume 2): the product
// of the upper halves first, then that of the lower halves, each with one rounding to nearest
// even. Subnormal numbers count as 0, and a sum that becomes one is 0.

// A dot is a tile of words. It multiplies the sum of column j by scale[j], where scale is not nil,
// before it writes or adds it to C.
type dot func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool, scale []float32)

// pairing is how a level makes words.
type pairing struct {
	// along rounds n numbers of a row, a multiple of 32, to n/2 words. Each is multiplied by
	// factor and, if scale is not nil, then by its own of scale.
	along func(dst, src, scale []float32, factor float32, n int)

	// across rounds two rows of n numbers, a multiple of 16, to n words, after it multiplied each
	// row by its factor.
	across func(dst, low, high []float32, lowFactor, highFactor float32, n int)
}

// roundBFloat16 returns v as bfloat16: to nearest even, a subnormal as 0.
func roundBFloat16(v float32) uint32 {
	bits := math.Float32bits(v)
	switch exponent := bits >> 23 & 0xff; {
	case exponent == 0:
		return bits >> 31 << 15
	case v != v:
		return bits>>16 | 0x40 // quiet, and not infinity if the payload was in the lower half
	}
	return (bits + 0x7fff + bits>>16&1) >> 16
}

// word returns the pair of low and high.
func word(low, high float32) float32 {
	return math.Float32frombits(roundBFloat16(low) | roundBFloat16(high)<<16)
}

// halves returns what a word holds.
func halves(word float32) (low, high float32) {
	bits := math.Float32bits(word)
	return math.Float32frombits(bits << 16), math.Float32frombits(bits &^ 0xffff)
}

// addProduct returns sum + x·y, rounded once. x and y are bfloat16, none of the three is subnormal.
func addProduct(sum, x, y float32) float32 {
	product := float64(x) * float64(y) // exact: of 16 digits
	s := product + float64(sum)
	// What s lacks (Knuth's TwoSum). Where it lacks something, the last of its 53 digits becomes
	// odd, so that rounding to 24 digits is as if it were exact (Boldo and Melquiond, "Emulation of
	// a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
	t := s - product
	lack := (product - (s - t)) + (float64(sum) - t)
	if bits := math.Float64bits(s); bits&1 == 0 && (lack > 0 || lack < 0) {
		if (lack > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	// The sum is subnormal if it is so after rounding to 24 digits with any exponent.
	const leastNormal = 0x1p-126 - 0x1p-151
	if math.Abs(s) < leastNormal {
		return float32(math.Copysign(0, s))
	}
	return float32(s)
}

// depthBFloat16 is the depth of a block at every level. A sum starts anew in each block, so another
// depth would give other bits.
const depthBFloat16 = 1024

// portableBFloat16 computes in plain Go what the instruction does, some hundred times slower.
var portableBFloat16 = kernel{
	lanes:     8,
	vectors:   1,
	heights:   []int{1},
	dots:      [][]dot{{dot1x8}},
	pairing:   pairing{pairAlong, pairAcross},
	rows:      128,
	depth:     depthBFloat16,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRows,
	transpose: transpose8,
}

// dot1x8 is a dot of one row and 8 columns, in plain Go.
func dot1x8(c []float32, _ int, a []float32, _, depthStride int, b []float32, depth, last int, accumulate bool, scale []float32) {
	var sums [8]float32
	for p := range depth {
		low, high := halves(a[p*depthStride])
		for j, columns := range b[p*8:][:8] {
			l, h := halves(columns)
			sums[j] = addProduct(addProduct(sums[j], high, h), low, l)
		}
	}
	for j, sum := range sums[:last] {
		if scale != nil {
			sum *= scale[j]
		}
		if accumulate {
			sum = c[j] + float32(sum)
		}
		c[j] = sum
	}
}

// pairAlong is pairing.along for any n. A last number without a neighbour is paired with 0.
func pairAlong(dst, src, scale []float32, factor float32, n int) {
	at := func(i int) float32 {
		if i >= n {
			return 0
		}
		v := src[i] * factor
		if scale != nil {
			v = float32(v) * scale[i]
		}
		return v
	}
	for i := 0; i < n; i += 2 {
		dst[i/2] = word(at(i), at(i+1))
	}
}

// pairAcross is pairing.across for any n. If high is nil it counts as zeros.
func pairAcross(dst, low, high []float32, lowFactor, highFactor float32, n int) {
	for i := range n {
		var h float32
		if high != nil {
			h = high[i] * highFactor
		}
		dst[i] = word(low[i]*lowFactor, h)
	}
}

// words is how many words a depth takes.
func words(depth int) int { return (depth + 1) / 2 }

// factors are those of the stored rows of a matrix, or their inverses. Without scale all are 1.
type factors struct {
	scale   []float32
	inverse bool
}

func (f factors) of(row int) float32 {
	const leastNormal = 0x1p-126
	switch {
	case f.scale == nil:
		return 1
	case !f.inverse:
		return f.scale[row]
	case f.scale[row] < leastNormal:
		return 0 // the row is zeros, or so small that it counts as such
	}
	return 1 / f.scale[row]
}

// from returns the factors from a row on.
func (f factors) from(row int) factors {
	if f.scale != nil {
		f.scale = f.scale[row:]
	}
	return f
}

// rows writes rows of depth numbers as rows of words. Each row is multiplied by its factor, each
// of its numbers by the number's own of scale, which may be nil.
func (p pairing) rows(dst, src []float32, ld, rows, depth int, scale []float32, f factors) {
	even := depth &^ 31
	for i := range rows {
		to, from, factor := dst[i*words(depth):][:words(depth)], src[i*ld:][:depth], f.of(i)
		var rest []float32
		if scale != nil {
			rest = scale[even:depth]
		}
		if even > 0 {
			p.along(to, from, scale, factor, even)
		}
		pairAlong(to[even/2:], from[even:], rest, factor, depth-even)
	}
}

// columns writes depth rows of numbers as rows of words, each of padded words.
func (p pairing) columns(dst []float32, padded int, src []float32, ld, columns, depth int, f factors) {
	even := columns &^ 15
	for q := 0; q < depth; q += 2 {
		to, low := dst[q/2*padded:][:padded], src[q*ld:][:columns]
		clear(to[columns:])
		if q+1 == depth {
			pairAcross(to, low, nil, f.of(q), 0, columns)
			continue
		}
		high := src[(q+1)*ld:][:columns]
		if even > 0 {
			p.across(to, low, high, f.of(q), f.of(q+1), even)
		}
		pairAcross(to[even:], low[even:], high[even:], f.of(q), f.of(q+1), columns-even)
	}
}

// RowScales writes the largest magnitude of each row of b, rows×columns with leading dimension ldb.
// If b is weights of which every row is −α, 0 and α, and a row is divided by its scale, nothing is
// lost when it is rounded to bfloat16.
func RowScales(scale, b []float32, ldb, rows, columns int) {
	for i := range rows {
		var largest uint32
		for _, v := range b[i*ldb:][:columns] {
			largest = max(largest, math.Float32bits(v)&^(1<<31)) // in the order of magnitudes, NaN last
		}
		scale[i] = math.Float32frombits(largest)
	}
}
