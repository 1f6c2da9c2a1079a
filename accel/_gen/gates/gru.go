package main

import (
	"bittern/accel/_gen/emit"
)

// candidateForward writes Candidate.Forward.
func candidateForward(m emit.Machine) {
	m.Function("candidateForward", "func(candidate, hidden, input, reset *float32, "+
		"candidateStride, hiddenStride, inputStride, resetStride int, order *int32, "+
		"hiddenScale, hiddenShift, inputScale, inputShift *float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		hiddenScale, hiddenShift := vector(m, "hiddenScale", tail), vector(m, "hiddenShift", tail)
		inputScale, inputShift := vector(m, "inputScale", tail), vector(m, "inputShift", tail)
		candidate, hidden, input, reset := m.NewRow("candidate"), m.NewRow("hidden"), m.NewInputRow("input"), m.NewRow("reset")
		m.Rows([]emit.Row{candidate, hidden, input, reset}, func() {
			m.Fetch(candidate)
			q := m.Load(hidden.Mem(), tail)
			q = m.MulAdd(q, hiddenScale, hiddenShift)
			a := m.Load(input.Mem(), tail)
			a = m.MulAdd(a, inputScale, inputShift)
			m.AddProduct(a, q, m.Load(reset.Mem(), tail))
			m.Store(m.Tanh(a), candidate.Mem(), tail)
		})
	})
}

// updateForward writes Update.Forward.
func updateForward(m emit.Machine) {
	m.Function("updateForward", "func(after, before, gates *float32, afterStride, beforeStride, gatesStride, spacing, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		spacing := m.Pointer("spacing")
		rows := m.NewRows("after", "before", "gates")
		after, before, gates := rows[0], rows[1], rows[2]
		m.Rows(rows, func() {
			m.Fetch(after)
			m.Fetch(before)
			z, n := m.Load(gates.Gate(1, spacing), tail), m.Load(gates.Gate(2, spacing), tail)
			h := m.Sub(m.Load(before.Mem(), tail), n)
			h = m.MulAdd(h, z, n)
			m.Store(h, after.Mem(), tail)
		})
	})
}

// updateBackward writes UpdateGradient.Backward.
func updateBackward(m emit.Machine) {
	m.Function("updateBackward", "func(above, next, gates, before, hidden, gatesGradient, candidateGradient, beforeGradient *float32, "+
		"aboveStride, nextStride, gatesStride, beforeStride, hiddenStride, "+
		"gatesGradientStride, candidateGradientStride, beforeGradientStride, spacing int, "+
		"hiddenScale, hiddenShift *float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		hiddenScale, hiddenShift := vector(m, "hiddenScale", tail), vector(m, "hiddenShift", tail)
		spacing := m.Pointer("spacing")
		rows := m.NewRows("above", "next", "gates", "before", "hidden", "gatesGradient", "candidateGradient", "beforeGradient")
		above, next, gates, before, hidden := rows[0], rows[1], rows[2], rows[3], rows[4]
		gatesGradient, candidateGradient, beforeGradient := rows[5], rows[6], rows[7]
		m.Rows(rows, func() {
			m.Fetch(above)
			m.Fetch(next)
			m.Fetch(before)
			dh := m.Flush(m.Add(m.Load(above.Mem(), tail), m.Load(next.Mem(), tail)))
			r, z, n := m.Load(gates.Gate(0, spacing), tail), m.Load(gates.Gate(1, spacing), tail), m.Load(gates.Gate(2, spacing), tail)
			q := m.Load(hidden.Mem(), tail)
			q = m.MulAdd(q, hiddenScale, hiddenShift)
			dn := m.Flush(m.Mul(m.Mul(dh, m.Sub(m.Constant(emit.Float(1)), z)), m.Complement(n, n)))
			m.Store(m.Flush(m.Mul(m.Mul(dn, q), slopeOfSigmoid(m, r))), gatesGradient.Gate(0, spacing), tail)
			dz := m.Mul(dh, m.Sub(m.Load(before.Mem(), tail), n))
			m.Store(m.Flush(m.Mul(dz, slopeOfSigmoid(m, z))), gatesGradient.Gate(1, spacing), tail)
			m.Store(dn, gatesGradient.Gate(2, spacing), tail)
			m.Store(m.Flush(m.Mul(dn, r)), candidateGradient.Mem(), tail)
			m.Store(m.Flush(m.Mul(dh, z)), beforeGradient.Mem(), tail)
		})
	})
}
