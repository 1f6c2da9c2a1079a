package main

import (
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// adam reads its numbers from the argument in the order that accel/kernels/vecmath documents.
func adam(m emit.Machine) {
	m.Function("adam", "func(value, grad, m, v []float32, common [8]float32)")
	value, grad, first, second := m.Slice("value"), m.Slice("grad"), m.Slice("m"), m.Slice("v")
	count := m.Length("value")
	var common [8]VecVirtual
	for i := range common {
		common[i] = m.Spread(emit.Place(m.Param("common").Index(i)))
	}
	gradScale, epsilon := common[0], common[7]
	beta1, fresh1, beta2, fresh2 := common[1], common[2], common[3], common[4]
	rate, spread := common[5], common[6]
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		g := m.Mul(m.Load(emit.At(grad, index), tail), gradScale)
		mean := m.Mul(m.Load(emit.At(first, index), tail), beta1)
		m.AddProduct(mean, g, fresh1)
		mean = m.Flush(mean)
		m.Store(mean, emit.At(first, index), tail)
		variance := m.Mul(m.Load(emit.At(second, index), tail), beta2)
		g = m.FlushBeforeSquare(g)
		m.AddProduct(variance, m.Mul(g, g), fresh2)
		variance = m.Flush(variance)
		m.Store(variance, emit.At(second, index), tail)
		root := m.Sqrt(variance)
		root = m.MulAdd(root, spread, epsilon)
		step := m.Div(m.Mul(mean, rate), root)
		m.Store(m.Sub(m.Load(emit.At(value, index), tail), step), emit.At(value, index), tail)
	})
	m.Return()
}
