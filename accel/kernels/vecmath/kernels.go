package vecmath

import (
	"sync"

	"bittern/accel/kernels/isa"
)

// kernels are the functions of one instruction-set level. They trust their
// arguments: lengths are checked by the public functions.
type kernels struct {
	sigmoid, tanh, add, mul func(dst, x []float32)

	axpy       func(dst []float32, a float32, x []float32)
	scale      func(dst []float32, a float32)
	scaleShift func(dst, scale, x, shift []float32)
	dot        func(x, y []float32) float64

	// reciprocalDeviation sets dst[i] = 1/√(variance[i] + epsilon), in float64.
	reciprocalDeviation func(dst, variance []float32, epsilon float64)

	// max returns the largest element that is not NaN, −Inf if there is none.
	max func(x []float32) float32
	// expSum sets dst[i] = exp(x[i]−shift), or 0 where that is less than flush.Least, and
	// returns the sum of dst.
	expSum func(dst, x []float32, shift float32) float64
	// sumExp returns the same sum as expSum and stores nothing.
	sumExp func(x []float32, shift float32) float64

	// exponentials sets dst[i] = math.Exp(x[i]−shift), to the bit, for as many elements as fill
	// vectors of lanes. It returns false, and dst is of no use, if a difference is below −700
	// or NaN. No difference is above 0. It is nil where math.Exp is used.
	exponentials func(dst []float64, x []float32, shift float64) bool
	lanes        int

	// adam's last argument holds what is the same for all elements of a step, with the bias
	// corrections folded in:
	//
	//	gradScale, Beta1, 1−Beta1, Beta2, 1−Beta2,
	//	rate = Rate/(1−Beta1ᵗ), spread = 1/√(1−Beta2ᵗ), Epsilon
	//
	// so that value −= rate·m / (spread·√v + Epsilon).
	adam func(value, grad, m, v []float32, common [8]float32)

	// dropout draws from a SplitMix64 generator in state state, one word for
	// two elements.
	dropout func(dst, x []float32, threshold uint32, scale float32, state uint64)

	// These draw in the same way. They compare x[i] with the upper 24 bits of a draw,
	// taken as a signed (binary) or unsigned (ternary) number, times unit.
	sampleBinary, sampleTernary func(dst, x []float32, alpha, unit float32, state uint64) (finite bool)

	transpose func(dst []float32, ldd int, src []float32, lds, rows, cols int)
}

// active is decided once, at first use, by package isa.
var active = sync.OnceValue(func() *kernels { return forLevel(isa.Current()) })
