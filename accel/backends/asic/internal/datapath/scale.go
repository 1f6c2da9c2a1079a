package datapath

import (
	"math"
	"slices"
)

// The storage of one scale and one offset, in bits.
const (
	mantissaBits = 12
	shiftBits    = 4
	scaleBits    = mantissaBits + shiftBits
	offsetBits   = accumulatorBits
)

// scales is a table of factors that turn integers of some fraction into
// accumulator integers: integer·mantissa / 2^shift, the factor being mantissa / 2^shift.
// As a float64 it gives exact products: the mantissa has 12 significant bits, and a sum of
// up to half a million products of 12-bit numbers has 41. It has a row of factors for each
// time step it is given for; later steps use the last.
type scales struct {
	rows, size int
	factors    []float64
	mantissas  []int16
	shifts     []uint8 // as stored: below the shift of 0, which is one of exponent to the right
	exponent   int
	to         format // of the products, before offsets are added
	bits       int    // stored: equal factors of a single row are kept once
	rowBits    int    // read per time step
}

// newScales rounds factors, rows of size, that turn integers with the given fraction
// bits into a format of 24 bits. A factor is kept as a mantissa of 12 bits and a shift of 4 bits below
// the exponent of the largest: those less than 2^−15 of it lose mantissa bits.
func newScales(factors []float64, size, fraction int, to format) scales {
	s := scales{
		rows: len(factors) / size, size: size, to: to,
		factors: make([]float64, len(factors)), mantissas: make([]int16, len(factors)), shifts: make([]uint8, len(factors)),
	}
	entries := len(factors)
	if largest := slices.Max(factors); s.rows == 1 && largest == slices.Min(factors) {
		entries = 1
		if largest == 1 {
			entries = 0 // nothing to multiply
		}
	}
	s.bits = entries * scaleBits
	s.rowBits = s.bits / s.rows
	top := math.MinInt
	for _, f := range factors {
		if _, e := math.Frexp(f); f != 0 {
			top = max(top, e)
		}
	}
	if top == math.MinInt {
		top = 0 // all are 0
	}
	s.exponent = fraction + (mantissaBits - 1 - top) - to.fraction
	for i, f := range factors {
		mantissa, shift := newScale(f, top)
		s.mantissas[i], s.shifts[i] = mantissa, shift
		// Beyond 17 bits to the left, any sum but 0 saturates all the same. Beyond 62 to
		// the right, every sum becomes 0 all the same.
		s.factors[i] = math.Ldexp(float64(mantissa), -min(62, max(-17, s.exponent+int(shift))))
	}
	return s
}

// newScale rounds a factor of a table whose largest has the exponent top.
func newScale(factor float64, top int) (mantissa int16, shift uint8) {
	if factor == 0 {
		return 0, 0
	}
	_, exponent := math.Frexp(factor)
	exponent = max(exponent, top-(1<<shiftBits-1))
	return int16(format{mantissaBits, mantissaBits - 1 - exponent}.encode(factor)), uint8(top - exponent)
}

// row returns the factors for a time step.
func (s scales) row(step int) []float64 {
	from := min(step, s.rows-1) * s.size
	return s.factors[from : from+s.size]
}

// offsets is a table of accumulator integers; without rows it is all zero.
type offsets struct {
	rows, size int
	values     []int32
}

func newOffsets(values []float32, size int) offsets {
	o := offsets{rows: len(values) / size, size: size, values: make([]int32, max(len(values), size))}
	for i, v := range values {
		o.values[i] = accumulator.encode(float64(v))
	}
	return o
}

func (o offsets) row(step int) []int32 {
	from := max(0, min(step, o.rows-1)) * o.size
	return o.values[from : from+o.size]
}

func (o offsets) bits() int    { return o.rows * o.rowBits() }
func (o offsets) rowBits() int { return min(o.rows, 1) * o.size * offsetBits }
