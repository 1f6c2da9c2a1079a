package matmul

import "math"

// A product of bfloat16 rounds both operands, to nearest even, and sums in float32. At every level
// it has the bits of VDPBF16PS (Intel SDM volume 2), which takes numbers in pairs that are neighbours
// in depth: to each sum it adds the product of the second numbers first and then that of the first
// ones, each with one rounding to nearest even. Subnormal numbers count as 0, and a sum that becomes
// one is 0. Where the depth is odd the last pair ends with 0.
//
// The instruction reads a pair from one word, the first number in the lower half. A word is
// stored as the bits of a float32, so that a matrix of words is packed like one of float32
// with half the depth. Kernels without the instruction store a pair as two float32, the second
// number first, and then compute as those of float32.

// pairing is how a level rounds numbers to pairs.
type pairing struct {
	floats int // that a pair takes

	// along rounds n numbers of a row, a multiple of 32. Each is multiplied by factor before, and
	// by its own of scale if scale is not nil.
	along func(dst, src, scale []float32, factor float32, n int)

	// across rounds pairs of rows of src, one number of each row in a pair, after it multiplied each row
	// by its own of factors. A pair of two floats goes to two rows of dst.
	across func(dst []float32, dstStride int, src []float32, srcStride int, factors []float32, columns, pairs int)
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

// addWords returns sum with the two products of a pair of each added.
func addWords(sum, a, b float32) float32 {
	low, high := halves(a)
	l, h := halves(b)
	return addProduct(addProduct(sum, high, h), low, l)
}

// depthBFloat16 is the depth of a block at every level. A sum starts anew in each block, so another
// depth would give other bits.
const depthBFloat16 = 1024

// portableBFloat16 computes in plain Go what the instruction does, some hundred times slower.
var portableBFloat16 = kernel{
	lanes:     8,
	vectors:   1,
	heights:   []int{1},
	full:      [][]fullTile{{dot1x8}},
	pairing:   &pairing{1, pairAlong, pairAcross},
	rows:      128,
	depth:     depthBFloat16,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRows,
	transpose: transpose8,
}

// dot1x8 is a tile of words, of one row and 8 columns.
func dot1x8(c []float32, _ int, a []float32, _, depthStride int, b []float32, _, depth, last int, accumulate bool, scale []float32, _ bool) {
	var sums [8]float32
	for p := range depth {
		for j, columns := range b[p*8:][:8] {
			sums[j] = addWords(sums[j], a[p*depthStride], columns)
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

// pairAlong is pairing.along with words.
func pairAlong(dst, src, scale []float32, factor float32, n int) {
	for i := 0; i < n; i += 2 {
		low, high := src[i]*factor, src[i+1]*factor
		if scale != nil {
			low, high = float32(low)*scale[i], float32(high)*scale[i+1]
		}
		dst[i/2] = word(low, high)
	}
}

// pairAcross is pairing.across with words.
func pairAcross(dst []float32, dstStride int, src []float32, srcStride int, factors []float32, columns, pairs int) {
	for q := range pairs {
		low, high := src[2*q*srcStride:][:columns], src[(2*q+1)*srcStride:][:columns]
		for i, v := range low {
			dst[q*dstStride+i] = word(v*factors[2*q], high[i]*factors[2*q+1])
		}
	}
}

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

// rows rounds rows of depth numbers, in pairs along each row. A row is multiplied by its factor, and
// each of its numbers by the number's own of scale, which may be nil. Rows of dst are ldd floats apart.
func (p *pairing) rows(e *edge, dst []float32, ldd int, src []float32, ld, rows, depth int, scale []float32, f factors) {
	even, stored := depth&^31, (depth+1)/2*p.floats
	for i := range rows {
		to, from, factor := dst[i*ldd:][:stored], src[i*ld:][:depth], f.of(i)
		if even > 0 {
			p.along(to, from, scale, factor, even)
		}
		if even == depth {
			continue
		}
		var own []float32
		if scale != nil {
			own = e.second.fill(scale[even:depth])
		}
		p.along(e.pairs[:], e.first.fill(from[even:]), own, factor, 32)
		copy(to[even/2*p.floats:], e.pairs[:])
	}
}

// columns rounds depth rows of numbers, in pairs of one row and the next. Rows of dst have padded
// floats.
func (p *pairing) columns(e *edge, dst []float32, padded int, src []float32, ld, columns, depth int, f factors) {
	pairs, last := depth/2, src[(depth-1)*ld:][:columns]
	dst = dst[:(depth+1)/2*p.floats*padded]
	e.factors = grow(e.factors, depth+1)
	for q := range depth {
		e.factors[q] = f.of(q)
	}
	if pairs > 0 {
		p.across(dst, padded, src, ld, e.factors, columns, pairs)
	}
	if depth%2 == 1 { // the last pair ends with 0
		e.factors[depth] = 1
		to := dst[pairs*p.floats*padded:]
		for j := 0; j < columns; j += len(e.first) {
			n := copy(e.odd[:len(e.first)], last[j:])
			p.across(to[j:], padded, e.odd[:], len(e.first), e.factors[depth-1:], n, 1)
		}
	}
	if columns < padded {
		for ; len(dst) > 0; dst = dst[padded:] {
			clear(dst[columns:padded])
		}
	}
}

// edge is the memory in which the end of a row is filled up with zeros, and the last row has a row of
// zeros after it.
type edge struct {
	first, second numbers
	pairs         [32]float32
	odd           [2 * len(numbers{})]float32
	factors       []float32
}

type numbers [32]float32

// fill returns x, as far as there is room for it, followed by zeros.
func (n *numbers) fill(x []float32) []float32 {
	clear(n[copy(n[:], x):])
	return n[:]
}

// RowScales writes the largest magnitude of each row of b, rows×columns with leading dimension ldb.
// If b is weights of which every row is −α, 0 and α, and a row is divided by its scale, nothing is
// lost when it is rounded to bfloat16.
func RowScales(scale, b []float32, ldb, rows, columns int) {
	const magnitude = 1<<31 - 1
	for i := range rows {
		row := b[i*ldb:][:columns]
		var one, two, three, four uint32 // in the order of magnitudes, NaN last
		for ; len(row) >= 4; row = row[4:] {
			one = max(one, math.Float32bits(row[0])&magnitude)
			two = max(two, math.Float32bits(row[1])&magnitude)
			three = max(three, math.Float32bits(row[2])&magnitude)
			four = max(four, math.Float32bits(row[3])&magnitude)
		}
		for _, v := range row {
			one = max(one, math.Float32bits(v)&magnitude)
		}
		scale[i] = math.Float32frombits(max(one, two, three, four))
	}
}
