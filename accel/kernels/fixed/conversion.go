package fixed

import (
	"fmt"
	"math"
)

// Conversion changes how many fraction bits a fixed-point number has: it shifts the integer,
// rounds and saturates. The zero value converts every number to 0.
type Conversion struct {
	left, right int32 // shifts; one of them is 0
	bias, odd   int32 // for rounding: half a unit less one, and the bit that decides ties
	low, high   int32
}

// NewConversion returns the conversion that divides by 2^shift, −30 ≤ shift ≤ 30, and saturates
// the result to the given number of bits, at most 32. The number and, for a negative shift, the
// product must fit in 31 bits.
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

// fields returns the fields in the order in which kernels read them.
func (c Conversion) fields() [6]int32 {
	return [...]int32{c.left, c.right, c.bias, c.odd, c.low, c.high}
}

// Accumulator is the range of a saturating sum.
type Accumulator struct{ limits [2]float64 }

// NewAccumulator returns the range of a signed sum with the given number of bits, at most 30.
func NewAccumulator(bits int) Accumulator {
	if bits < 1 || bits > 30 {
		panic(fmt.Sprintf("fixed: an accumulator of %d bits", bits))
	}
	limit := math.Ldexp(1, bits-1)
	return Accumulator{[2]float64{-limit, limit - 1}}
}
