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
	bits       int // stored: equal factors of a single row are kept once
	rowBits    int // read per time step
}

// newScales rounds factors, rows of size, for integers with the given fraction
// bits. A factor is kept as a mantissa of 12 bits and a shift of 4 bits below
// the exponent of the largest: those less than 2^−15 of it lose mantissa bits.
func newScales(factors []float64, size, fraction int) scales {
	s := scales{
		rows: len(factors) / size, size: size,
		factors: make([]float64, len(factors)),
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
	for i, f := range factors {
		mantissa, shift := newScale(f, top, fraction)
		s.factors[i] = math.Ldexp(float64(mantissa), -int(shift))
	}
	return s
}

func newScale(factor float64, top, fraction int) (mantissa int32, shift uint8) {
	if factor == 0 {
		return 0, 1
	}
	_, exponent := math.Frexp(factor)
	exponent = max(exponent, top-(1<<shiftBits-1))
	mantissa = format{mantissaBits, mantissaBits - 1 - exponent}.encode(factor)
	right := fraction + (mantissaBits - 1 - exponent) - accumulator.fraction
	// A shift to the left is made part of the mantissa: beyond 18 bits, any sum but 0
	// saturates all the same. Beyond 62 to the right, every sum becomes 0 all the same.
	if right < 1 {
		mantissa, right = mantissa<<min(1-right, 18), 1
	}
	return mantissa, uint8(min(right, 62))
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
