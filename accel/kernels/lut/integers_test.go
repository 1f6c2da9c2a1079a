package lut

import (
	"fmt"
	"slices"

	"bittern/plugins/packed"
)

// Whole numbers as they go into a product and come out of its sums: what must be
// equal to the reference decoder's, not only close.

// setIntegers takes a vector that is already quantised, x = scale·q. Every |q|
// must be at most the precision's limit, and one of them be it.
func (a *Activations) setIntegers(q []int16, scale float32) {
	sum, largest, limit := int32(0), int16(0), int16(a.precision.Limit())
	for i, v := range q {
		sum += int32(v)
		largest = max(largest, v, -v)
		a.x[i] = float32(v) * scale
	}
	if largest != limit {
		panic(fmt.Sprintf("activations of at most %d, must be %d", largest, limit))
	}
	a.Set(a.x[:a.n])
	copy(a.q, q)
	a.rounded, a.scale, a.sum = true, scale, scale*float32(sum)
}

// quantized returns the whole numbers that stand for the vector and their
// scale, x ≈ scale·q.
func (a *Activations) quantized() (q []int16, scale float32) {
	a.round()
	return a.q[:a.n], a.scale
}

// integers sets dst to the sums of the only planes there are, and returns the
// activation that a sum of 1 is.
func (m *Matrix) integers(dst []int32, a *Activations) (unit float32) {
	if m.precision == Exact || len(m.sums) != 1 {
		panic("a product without whole-number sums, or with several")
	}
	sums := make([]float32, len(dst))
	products := []Product{{Y: sums, X: a}}
	m.check(&products[0])
	m.sum(products, 0)
	copy(dst, integers(sums))
	return a.unit
}

// decodedSums is what integers must find, from the reference decoder: for every
// row Σ ±q over columns and planes, where a ternary weight of −1, 0 or 1 counts
// −2, 0 or 2 as two planes do. For Int8 every partial sum is rounded, of as many
// columns as the level takes together.
func decodedSums(k *kernels, p Precision, m packed.Matrix, q []int16) (sums []int32, unit float32) {
	planes := 2
	if len(m.Planes[0].Levels) == 2 {
		planes = 1
	}
	group, perPlane := 1, false
	if p == Int8 {
		l := k.int8[planes-1].layout
		group, perPlane = l.group, !l.trits
	}

	// The largest partial sum becomes 127.
	most, multiplier := int32(0), int32(0)
	for part := range slices.Chunk(q, group) {
		sum := int32(0)
		for _, v := range part {
			sum += max(int32(v), -int32(v))
		}
		most = max(most, sum)
	}
	if planes == 2 && !perPlane {
		most *= 2
	}
	unit = 1
	if p == Int8 && most > 0 {
		multiplier = 127 * 32768 / most
		unit = 32768 / float32(multiplier)
	}
	round := func(sum int32) int32 {
		if p != Int8 {
			return sum
		}
		return (sum*multiplier + 1<<14) >> 15
	}

	sums = make([]int32, m.Rows)
	for r := range sums {
		column := 0
		for part := range slices.Chunk(q, group) {
			lower, upper := int32(0), int32(0) // plane 0 is +1 for weights of 0, plane 1 is not
			for _, v := range part {
				switch weight := sign(m.Value(r, column)); {
				case weight > 0:
					lower += int32(v)
					upper += int32(v)
				case weight < 0:
					lower -= int32(v)
					upper -= int32(v)
				default:
					lower += int32(v)
					upper -= int32(v)
				}
				column++
			}
			switch {
			case planes == 1:
				sums[r] += round(lower)
			case perPlane:
				sums[r] += round(lower) + round(upper)
			default:
				sums[r] += round(lower + upper)
			}
		}
	}
	return sums, unit
}
