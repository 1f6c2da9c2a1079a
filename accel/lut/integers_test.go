package lut

import (
	"fmt"
	"slices"
)

// Whole numbers as they go into a product of precision Int14 and come out of its
// sums: what must be equal to the reference decoder's, not only close.

// setIntegers takes a vector that is already quantised, x = scale·q. Every |q|
// must be at most Limit.
func (a *Activations) setIntegers(q []int16, scale float32) {
	sum := int32(0)
	for i, v := range q {
		if v < -Limit || v > Limit {
			panic(fmt.Sprintf("activation %d is %d, beyond ±%d", i, v, Limit))
		}
		sum += int32(v)
		a.x[i] = float32(v) * scale
	}
	copy(a.q, q)
	a.scale, a.sum = scale, scale*float32(sum)
	a.kernels.integer.tables(a.tables, a.q)
	a.ready = true
}

// quantized returns the whole numbers that stand for the vector and their
// scale, x ≈ scale·q.
func (a *Activations) quantized() (q []int16, scale float32) {
	a.prepare()
	return a.q[:a.n], a.scale
}

// integers sets dst[r] = Σ t·q over the columns of row r, for t = ±1 of a binary
// matrix, or −1, 0, 1 of a ternary one, and the whole-number activations q.
func (m *Matrix) integers(dst []int32, a *Activations) {
	m.check(len(dst), a)
	if m.precision != Int14 || len(m.sums) != 1 || m.centre != nil || slices.Min(m.sums[0].weights) <= 0 {
		panic("a codebook of neither −α, α nor −α, 0, α has no whole-number sums")
	}
	a.prepare()
	s := m.sums[0]
	m.kernels.integer.run(dst, s, a.tables, integers(a.last[:]), m.columns)
	if s.planes == 2 {
		for r, sum := range dst {
			dst[r] = sum / 2 // two planes of ±1 count each ±1 twice
		}
	}
}
