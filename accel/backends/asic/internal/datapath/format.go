package datapath

import "math"

// format is that of a two's-complement number of so many bits, some of which
// are fraction bits: value = integer / 2^fraction.
type format struct{ bits, fraction int }

// ActivationBits is the width of everything that enters a multiplier, a table or
// a register.
const ActivationBits = 12

const accumulatorBits = 24

// accumulator is the format of the lanes' sums, Q11.12.
var accumulator = format{accumulatorBits, 12}

// accumulate returns a sum as the accumulators keep it.
func accumulate(integer int64) int64 {
	const limit = 1 << (accumulatorBits - 1)
	return min(limit-1, max(-limit, integer))
}

// activation is the 12-bit format for values up to bound: with as few integer
// bits as hold it, at most integerBits. The largest value of a format is
// 2^−fraction short of a power of two, to which a bound of a power of two
// saturates.
func activation(bound float64, integerBits int) format {
	integer := 0
	for integer < integerBits && bound > math.Ldexp(1, integer) {
		integer++
	}
	return format{ActivationBits, ActivationBits - 1 - integer}
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

// conversion turns integers of one format into those of another.
type conversion struct {
	shift     int
	low, high int64
}

func newConversion(from, to format) conversion {
	limit := int64(1) << (to.bits - 1)
	return conversion{from.fraction - to.fraction, -limit, limit - 1}
}

// of returns integer / 2^shift, rounded and saturated.
func (c conversion) of(integer int64) int32 {
	return int32(min(c.high, max(c.low, rescale(integer, c.shift))))
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
