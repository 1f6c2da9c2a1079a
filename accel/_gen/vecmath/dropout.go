package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// The constants of SplitMix64, as in accel/kernels/vecmath.
const (
	increment  = 0x9E3779B97F4A7C15
	multiplier = 0xBF58476D1CE4E5B9
	finisher   = 0x94D049BB133111EB
)

// dropout draws a 64-bit word for two elements. A vector of words is a vector of 32-bit draws in
// the order of the elements.
func dropout(m emit.Machine) {
	m.Function("dropout", "func(dst, x []float32, threshold uint32, scale float32, state uint64)")
	draws := newGenerator(m)
	threshold := m.Spread(emit.Argument("threshold"))
	scale := m.Spread(emit.Argument("scale"))
	elementwise(m, m.Elements, []string{"x"}, func(v []VecVirtual) VecVirtual {
		return m.ZeroBelow(m.Mul(v[0], scale), draws.next(m), threshold)
	})
}

// xorShifted returns z ⊕ (z ≫ by) in 64-bit lanes.
func xorShifted(m emit.Machine, z VecVirtual, by uint64) VecVirtual {
	v := m.Vector()
	VPSRLQ(operand.Imm(by), z, v)
	return m.Xor(v, z)
}
