package main

import (
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// normalisation is the backward pass of y = γ·(x−centre)·rstd + β. The first pass over the rows
// adds up the sums that the gradient of x needs; the second computes that gradient row by row.
type normalisation struct {
	centre, rstd VecVirtual
	product      VecVirtual // Σ dy·(x−centre)
	scale        VecVirtual // γ·rstd
	mean, slope  VecVirtual // Σdy/rows and rstd·Σ(dy·x̂)/rows, or 0 for constant statistics
}

func newNormalisation(m emit.Machine, prefix string, tail emit.Tail) *normalisation {
	return &normalisation{
		centre:  vector(m, argument(prefix, "mean"), tail),
		rstd:    vector(m, argument(prefix, "rstd"), tail),
		product: m.Zero(),
	}
}

// argument returns the name of an argument, for one of two normalisations.
func argument(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + string(name[0]-'a'+'A') + name[1:]
}

func (n *normalisation) add(m emit.Machine, dy, x VecVirtual) {
	m.AddProduct(n.product, dy, m.Sub(x, n.centre))
}

// finish adds to the gradient of γ and prepares for gradient. sum is Σ dy. The argument share is
// 1/rows, or 0 if the statistics are constants.
func (n *normalisation) finish(m emit.Machine, prefix string, sum VecVirtual, tail emit.Tail) {
	product := m.Mul(n.product, n.rstd)
	addVector(m, product, argument(prefix, "gammaGradient"), tail)
	n.scale = m.Mul(vector(m, argument(prefix, "gamma"), tail), n.rstd)
	share := m.Spread(m.Argument(argument(prefix, "share")))
	n.mean = m.Mul(sum, share)
	n.slope = m.Mul(m.Mul(product, share), n.rstd)
}

// gradient returns γ·rstd·(dy − mean − (x−centre)·slope).
func (n *normalisation) gradient(m emit.Machine, dy, x VecVirtual) VecVirtual {
	d := m.Sub(dy, n.mean)
	m.SubProduct(d, m.Sub(x, n.centre), n.slope)
	return m.Mul(d, n.scale)
}

// affinePairBackward writes AffinePairGradient.Backward. The argument inputGradient is nil where
// inputs are scalar.
func affinePairBackward(m emit.Machine) {
	m.Function("affinePairBackward", "func(gradient, hidden, input, hiddenGradient, inputGradient *float32, "+
		"gradientStride, hiddenStride, inputStride, hiddenGradientStride, inputGradientStride int, order *int32, scalar int, "+
		"hiddenMean, hiddenRstd, hiddenGamma, hiddenGammaGradient *float32, hiddenShare float32, "+
		"inputMean, inputRstd, inputGamma, inputGammaGradient *float32, inputShare float32, "+
		"betaGradient *float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		ofHidden, ofInput := newNormalisation(m, "hidden", tail), newNormalisation(m, "input", tail)
		sum := m.Zero()
		scalar := m.Pointer("scalar")
		gradient, hidden, input := m.NewRow("gradient"), m.NewRow("hidden"), m.NewInputRow("input")
		m.Rows([]emit.Row{gradient, hidden, input}, func() {
			m.Fetch(hidden)
			m.Fetch(input)
			da := m.Load(gradient.Mem(), tail)
			m.Accumulate(sum, da)
			ofHidden.add(m, da, m.Load(hidden.Mem(), tail))
			ofInput.add(m, da, loadInput(m, input, scalar, tail))
		})
		addVector(m, sum, "betaGradient", tail)
		ofHidden.finish(m, "hidden", sum, tail)
		ofInput.finish(m, "input", sum, tail)

		gradient, hidden = m.NewRow("gradient"), m.NewRow("hidden")
		hiddenGradient, inputs := m.NewRow("hiddenGradient"), m.NewInputRows("input", "inputGradient")
		input, inputGradient := inputs[0], inputs[1]
		m.Rows([]emit.Row{gradient, hidden, input, hiddenGradient, inputGradient}, func() {
			da, h := m.Load(gradient.Mem(), tail), m.Load(hidden.Mem(), tail)
			dh := ofHidden.gradient(m, da, h)
			m.Unless(func(none string) { m.JumpIfZero(inputGradient.At(), none) }, func() {
				dx := ofInput.gradient(m, da, m.Load(input.Mem(), tail))
				storeInputGradient(m, dx, inputGradient, tail)
			})
			m.Store(dh, hiddenGradient.Mem(), tail)
		})
	})
}

// storeInputGradient stores the gradient of a row of inputs, or adds it where rows are gathered.
func storeInputGradient(m emit.Machine, dx VecVirtual, to emit.Row, tail emit.Tail) {
	m.WhereGathered(to, func() { m.Accumulate(dx, m.Load(to.Mem(), tail)) })
	m.Store(dx, to.Mem(), tail)
}

// affineBackward writes AffineGradient.Backward.
func affineBackward(m emit.Machine) {
	m.Function("affineBackward", "func(gradient, product, productGradient *float32, "+
		"gradientStride, productStride, productGradientStride int, order *int32, "+
		"mean, rstd, gamma, betaGradient, gammaGradient *float32, share float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		n, sum := newNormalisation(m, "", tail), m.Zero()
		gradient, product := m.NewRow("gradient"), m.NewInputRow("product")
		m.Rows([]emit.Row{gradient, product}, func() {
			m.Fetch(product)
			dy := m.Load(gradient.Mem(), tail)
			m.Accumulate(sum, dy)
			n.add(m, dy, m.Load(product.Mem(), tail))
		})
		addVector(m, sum, "betaGradient", tail)
		n.finish(m, "", sum, tail)

		gradient = m.NewRow("gradient")
		products := m.NewInputRows("product", "productGradient")
		product, productGradient := products[0], products[1]
		m.Rows([]emit.Row{gradient, product, productGradient}, func() {
			dx := n.gradient(m, m.Load(gradient.Mem(), tail), m.Load(product.Mem(), tail))
			storeInputGradient(m, dx, productGradient, tail)
		})
	})
}

// outputBackward writes OutputGradient.Backward. It computes the gradient of the normalised cell
// twice, which is cheaper than storing it.
func outputBackward(m emit.Machine) {
	m.Function("outputBackward", "func(above, next, gate, tanh, cell, gateGradient, cellGradient *float32, "+
		"aboveStride, nextStride, gateStride, tanhStride, cellStride, gateGradientStride, cellGradientStride int, "+
		"mean, rstd, gamma, betaGradient, gammaGradient *float32, share float32, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		n, sum := newNormalisation(m, "", tail), m.Zero()
		// hidden returns dh, o, t and dn = dh·o·(1−t²).
		hidden := func(rows []emit.Row) (dh, o, t, dn VecVirtual) {
			dh = m.Flush(m.Add(m.Load(rows[0].Mem(), tail), m.Load(rows[1].Mem(), tail)))
			o, t = m.Load(rows[2].Mem(), tail), m.Load(rows[3].Mem(), tail)
			return dh, o, t, m.Mul(m.Mul(dh, o), m.Complement(t, t))
		}
		rows := m.NewRows("above", "next", "gate", "tanh", "cell")
		m.Rows(rows, func() {
			for _, row := range rows {
				m.Fetch(row)
			}
			_, _, _, dn := hidden(rows)
			m.Accumulate(sum, dn)
			n.add(m, dn, m.Load(rows[4].Mem(), tail))
		})
		addVector(m, sum, "betaGradient", tail)
		n.finish(m, "", sum, tail)

		rows = m.NewRows("above", "next", "gate", "tanh", "cell", "gateGradient", "cellGradient")
		m.Rows(rows, func() {
			m.Fetch(rows[6])
			dh, o, t, dn := hidden(rows)
			m.Store(m.Flush(m.Mul(m.Mul(dh, t), slopeOfSigmoid(m, o))), rows[5].Mem(), tail)
			dc := n.gradient(m, dn, m.Load(rows[4].Mem(), tail))
			m.Store(m.Flush(m.Add(dc, m.Load(rows[6].Mem(), tail))), rows[6].Mem(), tail)
		})
	})
}

// slopeOfSigmoid returns the derivative σ·(1−σ).
func slopeOfSigmoid(m emit.Machine, sigma VecVirtual) VecVirtual {
	return m.Mul(sigma, m.Sub(m.Constant(emit.Float(1)), sigma))
}

// gatesBackward writes GatesGradient.Backward.
func gatesBackward(m emit.Machine) {
	m.Function("gatesBackward", "func(cellGradient, gates, before, gatesGradient, beforeGradient *float32, "+
		"cellGradientStride, gatesStride, beforeStride, gatesGradientStride, beforeGradientStride, spacing, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		spacing := m.Pointer("spacing")
		rows := m.NewRows("cellGradient", "gates", "before", "gatesGradient", "beforeGradient")
		cellGradient, gates, before := rows[0], rows[1], rows[2]
		gatesGradient, beforeGradient := rows[3], rows[4]
		m.Rows(rows, func() {
			m.Fetch(before)
			for k := range 3 {
				m.FetchGate(gates, k, spacing)
			}
			dc, c := m.Load(cellGradient.Mem(), tail), m.Load(before.Mem(), tail)
			g, f, i := m.Load(gates.Gate(0, spacing), tail), m.Load(gates.Gate(1, spacing), tail), m.Load(gates.Gate(2, spacing), tail)
			m.Store(m.Flush(m.Mul(m.Mul(dc, i), m.Complement(g, g))), gatesGradient.Gate(0, spacing), tail)
			m.Store(m.Flush(m.Mul(m.Mul(dc, c), slopeOfSigmoid(m, f))), gatesGradient.Gate(1, spacing), tail)
			m.Store(m.Flush(m.Mul(m.Mul(dc, g), slopeOfSigmoid(m, i))), gatesGradient.Gate(2, spacing), tail)
			m.Store(m.Flush(m.Mul(dc, f)), beforeGradient.Mem(), tail)
		})
	})
}
