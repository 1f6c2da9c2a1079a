package fixed

import (
	"fmt"
	"math"
)

// Conversion turns whole numbers into others of fewer fraction bits or of more. Its zero
// value makes 0 of everything.
type Conversion struct {
	left, right int32 // shifts, of which one is 0
	bias, odd   int32 // for rounding: half a unit less one, and what of the result decides between two
	low, high   int32
}

// NewConversion divides by 2^shift, −30 ≤ shift ≤ 30, and keeps what fits in so many bits,
// at most 32. Neither a number nor what a negative shift makes of it may need more than 31 bits.
func NewConversion(shift, bits int) Conversion {
	if shift < -30 || shift > 30 || bits < 1 || bits > 32 {
		panic(fmt.Sprintf("fixed: a conversion to %d bits by a shift of %d", bits, shift))
	}
	high := int32(1<<(bits-1) - 1)
	c := Conversion{low: -high - 1, high: high}
	if shift <= 0 {
		c.left = int32(-shift)
	} else {
		c.right, c.bias, c.odd = int32(shift), 1<<(shift-1)-1, 1
	}
	return c
}

// fields are in the order in which kernels read them.
func (c Conversion) fields() [6]int32 {
	return [...]int32{c.left, c.right, c.bias, c.odd, c.low, c.high}
}

// Accumulator is a sum of so many bits.
type Accumulator struct{ limits [2]float64 }

// NewAccumulator has so many bits, at most 30.
func NewAccumulator(bits int) Accumulator {
	if bits < 1 || bits > 30 {
		panic(fmt.Sprintf("fixed: an accumulator of %d bits", bits))
	}
	limit := math.Ldexp(1, bits-1)
	return Accumulator{[2]float64{-limit, limit - 1}}
}
