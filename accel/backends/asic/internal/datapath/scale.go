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

// scales is a table of factors by which integers are multiplied to become integers of an
// accumulator. A factor is mantissa / 2^shift. Products with factors as float64 are exact: the
// mantissa has 12 significant bits, and a sum of
// up to half a million products of 12-bit numbers has 41. The table has a row of factors for each
// time step that it is given for; later steps use the last.
type scales struct {
	rows, size int
	factors    []float64
	mantissas  []int16
	shifts     []uint8 // as stored: the right shift is exponent + shift
	exponent   int
	to         format // of the products, before offsets are added
	bits       int    // that are stored: equal factors of a single row are stored once
	rowBits    int    // that a time step reads
}

// newScales rounds factors, in rows of the given size, by which integers with the given fraction
// bits become numbers of the format to, which has 24 bits. A factor is stored as a mantissa of 12
// bits and a shift of 4 bits below the exponent of the largest factor; factors smaller than 2^−15
// of the largest lose bits of the mantissa.
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
		// A larger shift changes nothing: by 17 bits to the left every sum but 0 saturates, and
		// by 62 to the right every sum becomes 0.
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

// offsets is a table of offsets as integers of an accumulator. Without rows all are 0.
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
