package datapath

import (
	"math"

	"bittern/accel/kernels/fixed"
)

// format is that of a two's-complement number of so many bits, some of which
// are fraction bits: value = integer / 2^fraction.
type format struct{ bits, fraction int }

// ActivationBits is the width of everything that enters a multiplier, a table or
// a register.
const ActivationBits = 12

const accumulatorBits = 24

// accumulator is the format of the lanes' sums, Q11.12.
var accumulator = format{accumulatorBits, 12}

// accumulatorFor is the 24-bit format with the most fraction bits that holds values up to bound,
// but with at most the 11 integer bits of an accumulator.
func accumulatorFor(bound float64) format {
	f := activation(bound, accumulatorBits-1-accumulator.fraction)
	return format{accumulatorBits, f.fraction + accumulatorBits - ActivationBits}
}

// lanes adds up as the elementwise lanes do.
var lanes = fixed.NewAccumulator(accumulatorBits)

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
func conversion(from, to format) fixed.Conversion {
	return fixed.NewConversion(from.fraction-to.fraction, to.bits)
}
