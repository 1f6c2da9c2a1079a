package vecmath

import (
	"fmt"
	"math"
)

// SampleBinary sets dst[i] = +alpha with the probability
// clip((x[i]/alpha + 1)/2, 0, 1), else −alpha, and says whether all of x is finite.
// It draws +alpha where x[i] > v for a v uniform on the 2²⁴ points of
// [−alpha, alpha) that are multiples of alpha·2⁻²³.
//
// Element first+i uses its half of a word of SplitMix64 with the given key, as in
// [Dropout]; first must be even. Every instruction-set level draws the same.
func SampleBinary(dst, x []float32, alpha float32, key uint64, first int) (finite bool) {
	checkSample("SampleBinary", dst, x, first)
	return active().sampleBinary(dst, x, alpha, alpha*0x1p-23, key+uint64(first/2)*splitMixIncrement)
}

// SampleTernary sets dst[i] = alpha with the sign of x[i] and the probability
// clip(|x[i]/alpha|, 0, 1), else 0, and says whether all of x is finite. It draws a
// nonzero where |x[i]| > v for a v uniform on the 2²⁴ points of [0, alpha) that are
// multiples of alpha·2⁻²⁴. Its random words are those of [SampleBinary].
func SampleTernary(dst, x []float32, alpha float32, key uint64, first int) (finite bool) {
	checkSample("SampleTernary", dst, x, first)
	return active().sampleTernary(dst, x, alpha, alpha*0x1p-24, key+uint64(first/2)*splitMixIncrement)
}

func checkSample(name string, dst, x []float32, first int) {
	sameLength(name, len(dst), len(x))
	if first < 0 || first%2 != 0 {
		panic(fmt.Sprintf("vecmath: %s from element %d, which is not even", name, first))
	}
}

const signBit = 1 << 31

// overflow returns a number whose top bit is set if x is an infinity or a NaN, whose
// exponent is all ones.
func overflow(x float32) uint32 { return math.Float32bits(x)&^signBit + 1<<23 }

// sampleBinary and sampleTernary are one loop written twice: called through a
// variable, the choice of an element takes three times as long.
func sampleBinary(dst, x []float32, alpha, unit float32, state uint64) bool {
	dst = dst[:len(x)]
	level, seen := math.Float32bits(alpha), uint32(0)
	for i := 0; i < len(x); i += 2 {
		word := splitMix(state)
		state += splitMixIncrement
		seen |= overflow(x[i])
		dst[i] = binary(x[i], uint32(word), level, unit)
		if i+1 < len(x) {
			seen |= overflow(x[i+1])
			dst[i+1] = binary(x[i+1], uint32(word>>32), level, unit)
		}
	}
	return seen < signBit
}

func sampleTernary(dst, x []float32, alpha, unit float32, state uint64) bool {
	dst = dst[:len(x)]
	level, seen := math.Float32bits(alpha), uint32(0)
	for i := 0; i < len(x); i += 2 {
		word := splitMix(state)
		state += splitMixIncrement
		seen |= overflow(x[i])
		dst[i] = ternary(x[i], uint32(word), level, unit)
		if i+1 < len(x) {
			seen |= overflow(x[i+1])
			dst[i+1] = ternary(x[i+1], uint32(word>>32), level, unit)
		}
	}
	return seen < signBit
}

// The conversions of products keep them from being fused with the subtractions,
// so that every processor draws the same. Choices are by sign bits: they are random,
// and a mispredicted branch would cost more than all else.

func binary(x float32, draw, level uint32, unit float32) float32 {
	v := float32(float32(int32(draw)>>8) * unit)
	return math.Float32frombits(level | ^math.Float32bits(v-x)&signBit)
}

func ternary(x float32, draw, level uint32, unit float32) float32 {
	bits := math.Float32bits(x)
	v := float32(float32(int32(draw>>8)) * unit)
	below := math.Float32bits(v - math.Float32frombits(bits&^signBit))
	nonzero := uint32(int32(below) >> 31)
	return math.Float32frombits((level | bits&signBit) & nonzero)
}
