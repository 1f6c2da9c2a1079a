package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

func softmax(m emit.Machine) {
	m.Function("max", "func(x []float32) float32")
	x, count := emit.Slice("x"), emit.Length("x")
	lowest := m.Constant(emit.Float(math.Inf(-1)))
	most := m.Constant(emit.Float(math.Inf(-1)))
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		// VMAXPS returns this operand, most, if the other is NaN.
		VMAXPS(most, m.LoadOr(emit.At(x, index), tail, lowest), most)
	})
	VMOVSS(m.Fold(most, VMAXPS).AsX(), emit.Place(ReturnIndex(0)))
	m.Return()

	m.Function("expSum", "func(dst, x []float32, shift float32) float64")
	dst := emit.Slice("dst")
	sumOfExponentials(m, func(e VecVirtual, index GPVirtual, tail emit.Tail) {
		m.Store(e, emit.At(dst, index), tail)
	})

	m.Function("sumExp", "func(x []float32, shift float32) float64")
	sumOfExponentials(m, func(VecVirtual, GPVirtual, emit.Tail) {})
}

// sumOfExponentials writes the rest of a function that returns Σ exp(x[i]−shift). It calls use
// with each vector of exponentials.
func sumOfExponentials(m emit.Machine, use func(e VecVirtual, index GPVirtual, tail emit.Tail)) {
	x, count := emit.Slice("x"), emit.Length("x")
	shift, lowest := m.Spread(emit.Argument("shift")), m.Constant(emit.Float(math.Inf(-1)))
	sums := [2]VecVirtual{m.Zero(), m.Zero()}
	m.ElementsInChains(count, func(index GPVirtual, tail emit.Tail) {
		e := m.Exp(m.Sub(m.LoadOr(emit.At(x, index), tail, lowest), shift))
		use(e, index, tail)
		m.AccumulateDoubles(sums, e)
	})
	returnSum(m, sums)
}
