// Package flush replaces float32 numbers that are too small to matter by 0.
//
// Gradients that vanish through time, and moments of parameters that have no gradient,
// become subnormal numbers: below 2⁻¹²⁶, where float32 loses its digits and an operation
// costs an Intel processor some hundred cycles instead of one. Worse, decay never brings them
// to 0: nine tenths of the smallest number is rounded to the smallest number again. A training step of an LSTM over 784 steps took 15 times as long with them.
//
// The processor could flush them by itself, but its setting belongs to a thread of the
// operating system, which Go changes at will, other processors have another, and neither
// the portable kernels nor the rest of Go would know it. So kernels flush explicitly,
// where such numbers come into being, and all compute the same.
package flush

import "math"

// Least is the smallest magnitude that is kept, 2⁻⁹⁵ ≈ 2.5e-29. It is so large that its product
// with a weight or a slope above 2⁻³¹ is not subnormal, and so far below any gradient that
// matters that no result shows the difference.
const Least = 0x1p-95

// LeastSquared is the smallest magnitude whose square is not subnormal, 2⁻⁶³ ≈ 1.1e-19.
const LeastSquared = 0x1p-63

// From each of the two limits on, one of the upper bits of the exponent is set, and below it
// none is, so a kernel tests these bits alone. accel/_gen/emit has them too.
const (
	exponentBits        = 0x70000000 // any of them is set from Least on
	exponentBitsSquared = 0x60000000 // any of them is set from LeastSquared on
)

// ToZero returns v, or 0 where its magnitude is less than Least. NaN stays NaN.
func ToZero(v float32) float32 {
	if math.Float32bits(v)&exponentBits == 0 {
		return 0
	}
	return v
}

// BeforeSquare returns v, or 0 where its magnitude is less than LeastSquared. NaN stays NaN.
func BeforeSquare(v float32) float32 {
	if math.Float32bits(v)&exponentBitsSquared == 0 {
		return 0
	}
	return v
}
