package lossaware

import "math"

// Levels is the set that b is taken from: 0 and ± some fractions of 1, the largest of which is
// 1.
type Levels struct {
	// Steps is the number of positive levels.
	Steps int
	// Logarithmic levels are 1, ½, ¼, … 2^−(Steps−1); others are 1/Steps, 2/Steps, … 1.
	Logarithmic bool
}

// Ternary levels are −1, 0 and 1.
var Ternary = Levels{Steps: 1}

// Multiples are all levels in ascending order, as multiples of Unit(α). Those of linear
// levels are whole numbers.
func (l Levels) Multiples() []float32 {
	multiples := make([]float32, 2*l.Steps+1)
	for step := 1; step <= l.Steps; step++ {
		multiple := float32(step)
		if l.Logarithmic {
			multiple = float32(l.fraction(step))
		}
		multiples[l.Steps+step], multiples[l.Steps-step] = multiple, -multiple
	}
	return multiples
}

// fraction is the positive level after so many steps from 0.
func (l Levels) fraction(steps int) float64 {
	switch {
	case steps == 0:
		return 0
	case l.Logarithmic:
		return math.Ldexp(1, steps-l.Steps)
	default:
		return float64(steps) / float64(l.Steps)
	}
}

// Unit returns the number of which [Levels.Multiples] are the multiples.
func (l Levels) Unit(alpha float64) float32 {
	if l.Logarithmic {
		return float32(alpha)
	}
	return float32(alpha / float64(l.Steps))
}

// Code writes, for every weight, the index in Multiples of the level nearest to it. A weight
// halfway between two levels gets the one of the larger size.
func (l Levels) Code(codes []uint16, weights []float32, unit float32) {
	steps := l.Steps
	inverse := float32(min(1/float64(unit), math.MaxFloat32))
	codes = codes[:len(weights)]
	if l.Logarithmic {
		for i, w := range weights {
			codes[i] = signed(logarithmic(size(w)*inverse, steps), steps, w)
		}
		return
	}
	for i, w := range weights {
		codes[i] = signed(linear(size(w)*inverse, float32(steps)), steps, w)
	}
}

func size(w float32) float32 { return math.Float32frombits(sizeOf(w)) }

// signed returns the code of the level that is step steps from 0, on the weight's side.
func signed(step, steps int, weight float32) uint16 {
	negative := int(int32(math.Float32bits(weight)) >> 31) // −1 or 0
	return uint16(steps + (step ^ negative) - negative)
}

// linear and logarithmic choose without branches: weights are random, and a mispredicted
// branch would cost more than all else.

// linear returns the whole number from 0 to steps that is nearest to x ≥ 0.
func linear(x, steps float32) int { return int(int32(min(x, steps) + 0.5)) }

// logarithmic returns the step from 0 to steps whose level is nearest to x ≥ 0: 0 for
// the level 0, and step for 2^(step−steps). Halfway between 2^k and 2^(k+1) is 1.5·2^k:
// half a unit of the exponent is added to round to the nearer one. Halfway between 0 and
// the smallest level is the next smaller power.
func logarithmic(x float32, steps int) int {
	const bias = 127
	bits := math.Float32bits(x)
	nearest := int((bits+1<<22)>>23) - bias + steps
	positive := min(int(bits>>23)-max(bias-steps, 1)+1, 1) // numbers below 2^−126 have no exponent
	return min(max(nearest, positive, 0), steps)
}
