package datapath

import (
	"math"
	"math/bits"
)

// The root unit computes 1/√A of a whole number A of up to 63 bits, and 1/A as the square of
// that. It counts leading zeros to write A as a·4^p, 1 ≤ a < 4, looks up a first value for 1/√a
// in a table and improves it with one step of Newton's method:
//
//	g = g₀·(3 − a·g₀²)/2
//
// All its registers hold whole numbers: a has 22 fraction bits, g₀ 12, g₀² and 3 − a·g₀² 24, g 16.
const (
	operandFraction = 22 // of a
	indexFraction   = 6  // of the part of a that addresses the table
	firstFraction   = 12 // of the table
	squareFraction  = 2 * firstFraction
	rootFraction    = 16 // of the result
)

// rootTable holds 1/√a in the middle of each interval of a, from 1 on.
var rootTable = func() (table [3 << indexFraction]uint64) {
	for i := range table {
		middle := 1 + (float64(i)+0.5)/(1<<indexFraction)
		table[i] = uint64(math.RoundToEven((1 << firstFraction) / math.Sqrt(middle)))
	}
	return table
}()

// root computes 1/√A ≈ g·2^−rootFraction·2^−p for a whole number A from 1 to 2⁶³−1. The value is
// off by at most 2.25 units of g, and ½ ≤ g·2^−rootFraction ≤ 1.
func root(A uint64) (g uint64, p int) {
	p = (bits.Len64(A) - 1) / 2
	a := A << max(0, operandFraction-2*p)
	if shift := 2*p - operandFraction; shift > 0 {
		a = min(shifted(A, shift), 4<<operandFraction-1) // rounding may reach 4
	}
	first := rootTable[a>>(operandFraction-indexFraction)-1<<indexFraction]
	rest := 3<<squareFraction - shifted(a*first*first, operandFraction)
	return shifted(first*rest, firstFraction+squareFraction+1-rootFraction), p
}

// reciprocal computes 1/A as a factor, for a whole number A from 1 to 2⁶³−1.
func reciprocal(A uint64) factor {
	g, p := root(A)
	return newFactor(g*g, -2*rootFraction-2*p)
}

// shifted is x/2^shift, rounded to the nearest whole number, the even one of two.
func shifted(x uint64, shift int) uint64 {
	if shift > 63 {
		return 0
	}
	half := uint64(1) << shift >> 1
	y := x >> shift
	if rest := x & (1<<shift - 1); rest > half || rest == half && shift > 0 && y&1 == 1 {
		y++
	}
	return y
}

// factor is mantissa·2^(exponent−11). A lane multiplies by it as by a scale of a table. The mantissa
// is 0 or from 1024 to 2047.
type factor struct {
	mantissa uint64
	exponent int
}

// newFactor rounds x·2^exponent to a factor. As in a table of scales a mantissa of 2048
// saturates to 2047.
func newFactor(x uint64, exponent int) factor {
	const most = mantissaBits - 1 // bits of a mantissa without its sign
	if x == 0 {
		return factor{}
	}
	length := bits.Len64(x)
	f := factor{exponent: exponent + length}
	if excess := length - most; excess > 0 {
		f.mantissa = min(shifted(x, excess), 1<<most-1)
	} else {
		f.mantissa = x << -excess
	}
	return f
}

// times is the product of two factors, as a factor.
func (f factor) times(g factor) factor {
	return newFactor(f.mantissa*g.mantissa, f.exponent+g.exponent-2*(mantissaBits-1))
}

// value is the number that a factor is.
func (f factor) value() float64 {
	return math.Ldexp(float64(f.mantissa), f.exponent-(mantissaBits-1))
}
