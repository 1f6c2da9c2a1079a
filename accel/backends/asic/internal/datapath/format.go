package datapath

import (
	"math"

	"bittern/accel/kernels/fixed"
)

// format describes a two's-complement number: how many bits it has, and how many of them are
// fraction bits. Its value is integer / 2^fraction.
type format struct{ bits, fraction int }

// ActivationBits is the width of everything that enters a multiplier, a table or
// a register.
const ActivationBits = 12

const accumulatorBits = 24

// accumulator is the format of the lanes' sums, Q11.12.
var accumulator = format{accumulatorBits, 12}

// accumulatorFor returns the 24-bit format for values up to bound. It has as many fraction bits as
// the bound allows, and at most 11 integer bits, as many as an accumulator.
func accumulatorFor(bound float64) format {
	f := activation(bound, accumulatorBits-1-accumulator.fraction)
	return format{accumulatorBits, f.fraction + accumulatorBits - ActivationBits}
}

// lanes is the range in which sums on the lanes saturate.
var lanes = fixed.NewAccumulator(accumulatorBits)

// activation returns the 12-bit format for values up to bound. It has as few integer bits as the
// bound allows, and at most integerBits. The largest number of a format is 2^−fraction below a
// power of two. So if the bound is a power of two, the bound itself saturates to that number.
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
