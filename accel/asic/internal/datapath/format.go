package datapath

import "math"

// format is that of a two's-complement number of so many bits, some of which
// are fraction bits: value = integer / 2^fraction.
type format struct{ bits, fraction int }

const (
	activationBits  = 12
	accumulatorBits = 24
)

// accumulator is the format of the lanes' sums, Q11.12.
var accumulator = format{accumulatorBits, 12}

// activation is the 12-bit format for values up to bound: with as few integer
// bits as hold it, at most integerBits. The largest value of a format is
// 2^−fraction short of a power of two, to which a bound of a power of two
// saturates.
func activation(bound float64, integerBits int) format {
	integer := 0
	for integer < integerBits && bound > math.Ldexp(1, integer) {
		integer++
	}
	return format{activationBits, activationBits - 1 - integer}
}

// saturate returns the nearest integer that the format has.
func (f format) saturate(integer int64) int32 {
	limit := int64(1) << (f.bits - 1)
	return int32(min(limit-1, max(-limit, integer)))
}

// encode returns the nearest number of the format, the even one of two.
func (f format) encode(value float64) int32 {
	limit := math.Ldexp(1, f.bits-1)
	scaled := math.RoundToEven(math.Ldexp(value, f.fraction))
	return int32(min(limit-1, max(-limit, scaled)))
}

// decode returns the number as a float32, which holds all of 24 bits.
func (f format) decode(integer int32) float32 {
	return float32(math.Ldexp(float64(integer), -f.fraction))
}

// convert returns an integer of format from in format f.
func (f format) convert(integer int64, from format) int32 {
	return f.saturate(rescale(integer, from.fraction-f.fraction))
}

// rescale returns integer / 2^shift, rounded to the nearest, ties to even. A
// negative shift multiplies.
func rescale(integer int64, shift int) int64 {
	if shift <= 0 {
		return integer << -shift
	}
	return roundShift(integer, uint(shift))
}

// roundShift is rescale for shifts from 1 to 62.
func roundShift(integer int64, shift uint) int64 {
	half := int64(1) << (shift - 1)
	return (integer + half - 1 + integer>>shift&1) >> shift
}
