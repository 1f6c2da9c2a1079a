package elementwise

import (
	"math"

	"bittern/accel/kernels/vecmath"
	"bittern/quantizers/internal/random"
)

// A Kernel computes dst[i] from latent[i], which is element first+i of its matrix; α is the
// fit's scale. For a kernel that draws random numbers, first is even. It reports whether every
// latent weight was finite.
//
// Kernels choose by sign bits, not by branches: the choices are random, and a
// mispredicted branch would cost more than all else they do.
type Kernel func(dst, latent []float32, fit Fit, stream random.Stream, first int) (finite bool)

const (
	signBit     = 1 << 31
	exponentLow = 1 << 23 // the lowest bit of a float32's exponent
)

// overflow returns a number whose top bit is set if bits are those of an infinity or a NaN,
// whose exponent is all ones.
func overflow(bits uint32) uint32 { return bits&^signBit + exponentLow }

// Copy leaves the weights as they are.
func Copy(dst, latent []float32, _ Fit, _ random.Stream, _ int) bool {
	dst = dst[:len(latent)]
	var seen uint32
	for i, w := range latent {
		seen |= overflow(math.Float32bits(w))
		dst[i] = w
	}
	return seen < signBit
}

// Sign is the deterministic binary rule: +α where w ≥ 0, else −α.
func Sign(dst, latent []float32, fit Fit, _ random.Stream, _ int) bool {
	dst = dst[:len(latent)]
	level := math.Float32bits(fit.Scale)
	var seen uint32
	for i, w := range latent {
		bits := math.Float32bits(w + 0) // −0 + 0 = +0
		seen |= overflow(bits)
		dst[i] = math.Float32frombits(level | bits&signBit)
	}
	return seen < signBit
}

// HardSigmoid is the stochastic binary rule: +α with the probability
// clip((w/α + 1)/2, 0, 1), else −α.
func HardSigmoid(dst, latent []float32, fit Fit, stream random.Stream, first int) bool {
	return vecmath.SampleBinary(dst[:len(latent)], latent, fit.Scale, uint64(stream), first)
}

// Threshold is the deterministic ternary rule: sign(w)·α where |w| is above the bound,
// else 0.
func Threshold(dst, latent []float32, fit Fit, _ random.Stream, _ int) bool {
	dst = dst[:len(latent)]
	level := math.Float32bits(fit.Scale)
	var seen uint32
	for i, w := range latent {
		seen |= overflow(math.Float32bits(w))
		dst[i] = ternary(w, level, fit.Bound)
	}
	return seen < signBit
}

// Bernoulli is the stochastic ternary rule: sign(w)·α with the probability
// clip(|w/α|, 0, 1), else 0.
func Bernoulli(dst, latent []float32, fit Fit, stream random.Stream, first int) bool {
	return vecmath.SampleTernary(dst[:len(latent)], latent, fit.Scale, uint64(stream), first)
}

// ternary returns sign(w)·α where |w| > threshold, else 0.
func ternary(w float32, level uint32, threshold float32) float32 {
	bits := math.Float32bits(w)
	below := math.Float32bits(threshold - math.Float32frombits(bits&^signBit))
	nonzero := uint32(int32(below) >> 31)
	return math.Float32frombits((level | bits&signBit) & nonzero)
}
