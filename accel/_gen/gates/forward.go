package main

import (
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// gateForward writes Gates.Forward for one gate.
func gateForward(m emit.Machine, name string, activation func(VecVirtual) VecVirtual) {
	m.Function(name, "func(gate, hidden, input *float32, gateStride, hiddenStride, inputStride int, order *int32, scalar int, "+
		"hiddenScale, inputScale, shift *float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		hiddenScale, inputScale := vector(m, "hiddenScale", tail), vector(m, "inputScale", tail)
		shift := vector(m, "shift", tail)
		gate, hidden, input := m.NewRow("gate"), m.NewRow("hidden"), m.NewInputRow("input")
		scalar := m.Pointer("scalar")
		m.Rows([]emit.Row{gate, hidden, input}, func() {
			m.Fetch(gate)
			m.Fetch(hidden)
			a := m.Load(hidden.Mem(), tail)
			a = m.MulAdd(a, hiddenScale, shift)
			m.AddProduct(a, inputScale, loadInput(m, input, scalar, tail))
			m.Store(activation(a), gate.Mem(), tail)
		})
	})
}

// cellForward writes the last step of Gates.Forward: c = f·c₋₁ + i·g.
func cellForward(m emit.Machine) {
	m.Function("cellForward", "func(cell, before, gates *float32, cellStride, beforeStride, gatesStride, spacing, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		spacing := m.Pointer("spacing")
		rows := m.NewRows("cell", "before", "gates")
		cell, before, gates := rows[0], rows[1], rows[2]
		m.Rows(rows, func() {
			m.Fetch(cell)
			m.Fetch(before)
			g, f, i := m.Load(gates.Gate(0, spacing), tail), m.Load(gates.Gate(1, spacing), tail), m.Load(gates.Gate(2, spacing), tail)
			c := m.Mul(i, g)
			m.AddProduct(c, f, m.Load(before.Mem(), tail))
			m.Store(c, cell.Mem(), tail)
		})
	})
}

// outputForward writes Output.Forward. It does not fetch the hidden states that it overwrites: the
// columns after these are another worker's.
func outputForward(m emit.Machine) {
	m.Function("outputForward", "func(cell, gate, tanh, hidden *float32, cellStride, gateStride, tanhStride, hiddenStride int, "+
		"scale, shift *float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		scale, shift := vector(m, "scale", tail), vector(m, "shift", tail)
		rows := m.NewRows("cell", "gate", "tanh", "hidden")
		cell, gate, tanh, hidden := rows[0], rows[1], rows[2], rows[3]
		m.Rows(rows, func() {
			n := m.Load(cell.Mem(), tail)
			n = m.MulAdd(n, scale, shift)
			t := m.Tanh(n)
			m.Store(t, tanh.Mem(), tail)
			m.Store(m.Mul(t, m.Load(gate.Mem(), tail)), hidden.Mem(), tail)
		})
	})
}
