package gates

import (
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/internal/guard"
)

// array is a guarded matrix with some gates to a row. The room between gates
// and rows is filled with canaries that must be there when the test ends.
type array struct {
	Matrix
	rows, columns, gates, spacing int
}

// maker makes the arrays of a step, all of one shape but for the gates.
type maker struct {
	t             *testing.T
	random        *rand.Rand
	rows, columns int
	spacing       int
}

func (m maker) matrix(gates int) array { return m.array(m.rows, gates) }
func (m maker) vector(gates int) array { return m.array(1, gates) }

// array holds normal deviates.
func (m maker) array(rows, gates int) array {
	m.t.Helper()
	reach := (gates-1)*m.spacing + m.columns
	stride := reach + 3
	a := array{Matrix{guard.Floats(m.t, (rows-1)*stride+reach), stride}, rows, m.columns, gates, m.spacing}
	for r := range rows {
		for k := range gates {
			for j := range m.columns {
				*a.at(r, k, j) = float32(m.random.NormFloat64())
			}
		}
	}
	m.t.Cleanup(func() {
		if m.t.Failed() {
			return
		}
		for r := range rows {
			for k := range gates {
				for j := range m.columns {
					guard.Fill(a.Data[r*stride+k*m.spacing+j:][:1])
				}
			}
		}
		if at := guard.Changed(a.Data); at >= 0 {
			m.t.Errorf("wrote between the columns, at element %d of a matrix with stride %d", at, stride)
		}
	})
	return a
}

func (a array) at(r, k, j int) *float32 { return &a.Data[r*a.Stride+k*a.spacing+j] }

// of returns an element as float64.
func (a array) of(r, k, j int) float64 { return float64(*a.at(r, k, j)) }

// from is the part that begins at column j of gate k.
func (a array) from(k, j int) Matrix { return Matrix{a.Data[k*a.spacing+j:], a.Stride} }

// cut is columns from ≤ j < to of gate k of a vector.
func (a array) cut(k, from, to int) []float32 {
	return a.Data[k*a.spacing+from : k*a.spacing+to]
}

// values are all elements in order.
func (a array) values() []float32 {
	var v []float32
	for r := range a.rows {
		for k := range a.gates {
			v = append(v, a.Data[r*a.Stride+k*a.spacing:][:a.columns]...)
		}
	}
	return v
}

// step is a time step forward and backward, every kernel once.
type step struct {
	rows, columns, spacing int
	order                  []int32 // of the rows of input and dInput; nil: as they are
	scalars                Matrix  // with data: inputs that stand in every column
	batch                  bool    // statistics are the batch's
	above, next            bool    // which gradients of h there are

	hidden, input, cellBefore                 array
	gammaH, gammaX, beta, gammaC, betaC       array
	meanH, rstdH, meanX, rstdX, meanC, rstdC  array
	scaleH, scaleX, shiftH, shift             array
	scaleC, shiftC                            array
	activation, cell, cellTanh, out           array
	dAbove, dNext                             array
	dCell, dCellTotal, dCellBefore            array // dCell is what comes from the next step
	dGates, dHidden, dInput                   array
	dGammaH, dGammaX, dBeta, dGammaC, dBetaC  array
	columnSum, columnSumBefore, dBetaCBefore  array
	dGammaHBefore, dGammaXBefore, dBetaBefore array
	dGammaCBefore                             array
}

const testEpsilon = 1e-5

func inOrder(m Matrix) Gathered { return Gathered{Matrix: m} }

func newStep(t *testing.T, rows, columns int) *step {
	t.Helper()
	m := maker{t, rand.New(rand.NewPCG(uint64(rows), uint64(columns))), rows, columns, columns + 2}
	s := &step{rows: rows, columns: columns, spacing: m.spacing, batch: true, above: true, next: true}
	for _, a := range []*array{&s.hidden, &s.input, &s.activation, &s.dGates, &s.dHidden, &s.dInput} {
		*a = m.matrix(gates)
	}
	for _, a := range []*array{&s.cellBefore, &s.cell, &s.cellTanh, &s.out, &s.dAbove, &s.dNext, &s.dCell, &s.dCellTotal,
		&s.dCellBefore} {
		*a = m.matrix(1)
	}
	for _, a := range []*array{&s.gammaH, &s.gammaX, &s.beta, &s.meanH, &s.rstdH, &s.meanX, &s.rstdX, &s.scaleH, &s.scaleX,
		&s.shiftH, &s.shift, &s.dGammaH, &s.dGammaX, &s.dBeta} {
		*a = m.vector(gates)
	}
	for _, a := range []*array{&s.gammaC, &s.betaC, &s.meanC, &s.rstdC, &s.scaleC, &s.shiftC, &s.dGammaC, &s.dBetaC, &s.columnSum} {
		*a = m.vector(1)
	}
	for r := range rows {
		for j := range columns {
			// Means that are not 0, as the products of a trained network have.
			*s.input.at(r, 1, j) += 3
			*s.hidden.at(r, 2, j) *= 10
			*s.dCellTotal.at(r, 0, j) = *s.dCell.at(r, 0, j)
		}
	}
	for _, pair := range []struct{ before, sum *array }{{&s.dGammaHBefore, &s.dGammaH}, {&s.dGammaXBefore, &s.dGammaX},
		{&s.dBetaBefore, &s.dBeta}, {&s.dGammaCBefore, &s.dGammaC}, {&s.dBetaCBefore, &s.dBetaC},
		{&s.columnSumBefore, &s.columnSum}} {
		*pair.before = *pair.sum
		pair.before.Data = append([]float32(nil), pair.sum.Data...)
	}
	return s
}

// share makes every output that may share memory with an input do so.
func (s *step) share() {
	s.dGates, s.dCellBefore, s.dHidden, s.dInput, s.shiftH = s.activation, s.dCellTotal, s.hidden, s.input, s.shift
}

// inputs are the rows of a matrix of inputs, or the scalar ones.
func (s *step) inputs(m Matrix) Gathered {
	if s.scalars.Data != nil {
		return Gathered{Matrix: s.scalars, Scalar: true}
	}
	return Gathered{Matrix: m, Order: s.order}
}

// run runs every kernel on columns from ≤ j < to.
func (s *step) run(k kernels, from, to int) {
	n := to - from
	for gate := range gates {
		meanH, rstdH := s.meanH.cut(gate, from, to), s.rstdH.cut(gate, from, to)
		meanX, rstdX := s.meanX.cut(gate, from, to), s.rstdX.cut(gate, from, to)
		k.moments(meanH, rstdH, inOrder(s.hidden.from(gate, from)), s.rows, testEpsilon)
		k.moments(meanX, rstdX, Gathered{Matrix: s.input.from(gate, from), Order: s.order}, s.rows, testEpsilon)
		k.fold(s.scaleH.cut(gate, from, to), s.shiftH.cut(gate, from, to), s.gammaH.cut(gate, from, to), s.beta.cut(gate, from, to), meanH, rstdH)
		k.fold(s.scaleX.cut(gate, from, to), s.shift.cut(gate, from, to), s.gammaX.cut(gate, from, to), s.shiftH.cut(gate, from, to), meanX, rstdX)
	}
	k.gatesForward(Gates{
		Rows: s.rows, Columns: n, Spacing: s.spacing, ActivationSpacing: s.spacing, Hidden: s.hidden.from(0, from), Input: s.inputs(s.input.from(0, from)),
		HiddenScale: s.scaleH.Data[from:], InputScale: s.scaleX.Data[from:], Shift: s.shift.Data[from:],
		CellBefore: s.cellBefore.from(0, from), Activation: s.activation.from(0, from), Cell: s.cell.from(0, from),
	})
	meanC, rstdC := s.meanC.cut(0, from, to), s.rstdC.cut(0, from, to)
	k.moments(meanC, rstdC, inOrder(s.cell.from(0, from)), s.rows, testEpsilon)
	k.fold(s.scaleC.cut(0, from, to), s.shiftC.cut(0, from, to), s.gammaC.cut(0, from, to), s.betaC.cut(0, from, to), meanC, rstdC)
	k.outputForward(Output{
		Rows: s.rows, Columns: n, Cell: s.cell.from(0, from), Scale: s.scaleC.cut(0, from, to), Shift: s.shiftC.cut(0, from, to),
		Gate: s.activation.from(3, from), CellTanh: s.cellTanh.from(0, from), Hidden: s.out.from(0, from),
	})

	output := OutputGradient{
		Rows: s.rows, Columns: n, Gate: s.activation.from(3, from), CellTanh: s.cellTanh.from(0, from), Cell: s.cell.from(0, from),
		Statistics: Statistics{Mean: meanC, RStd: rstdC, Batch: s.batch}, Gamma: s.gammaC.cut(0, from, to),
		BetaGradient: s.dBetaC.cut(0, from, to), GammaGradient: s.dGammaC.cut(0, from, to),
		GateGradient: s.dGates.from(3, from), CellGradient: s.dCellTotal.from(0, from),
	}
	if s.above {
		output.HiddenAbove = s.dAbove.from(0, from)
	}
	if s.next {
		output.HiddenNext = s.dNext.from(0, from)
	}
	k.outputBackward(output)
	k.gatesBackward(GatesGradient{
		Rows: s.rows, Columns: n, Spacing: s.spacing, CellGradient: s.dCellTotal.from(0, from),
		Activation: s.activation.from(0, from), CellBefore: s.cellBefore.from(0, from),
		GateGradient: s.dGates.from(0, from), CellBeforeGradient: s.dCellBefore.from(0, from),
	})
	for gate := range gates {
		k.affinePairBackward(AffinePairGradient{
			Rows: s.rows, Columns: n, Gradient: s.dGates.from(gate, from),
			Hidden: s.hidden.from(gate, from), Input: s.inputs(s.input.from(gate, from)),
			HiddenStatistics: Statistics{Mean: s.meanH.cut(gate, from, to), RStd: s.rstdH.cut(gate, from, to), Batch: s.batch},
			// The other way round, so that one kernel meets both in a pair.
			InputStatistics: Statistics{Mean: s.meanX.cut(gate, from, to), RStd: s.rstdX.cut(gate, from, to), Batch: !s.batch},
			HiddenGamma:     s.gammaH.cut(gate, from, to), InputGamma: s.gammaX.cut(gate, from, to),
			BetaGradient: s.dBeta.cut(gate, from, to), HiddenGammaGradient: s.dGammaH.cut(gate, from, to),
			InputGammaGradient: s.dGammaX.cut(gate, from, to),
			HiddenGradient:     s.dHidden.from(gate, from), InputGradient: s.dInput.from(gate, from),
		})
	}
	k.fetch(s.dAbove.from(0, from), s.rows, n)
	k.sumColumns(s.columnSum.cut(0, from, to), s.dAbove.from(0, from), s.rows)
}

// outputs are what run computes, by name.
func (s *step) outputs() map[string]array {
	return map[string]array{
		"meanH": s.meanH, "rstdH": s.rstdH, "meanX": s.meanX, "rstdX": s.rstdX, "meanC": s.meanC, "rstdC": s.rstdC,
		"scaleH": s.scaleH, "scaleX": s.scaleX, "shift": s.shift, "scaleC": s.scaleC, "shiftC": s.shiftC,
		"cell": s.cell, "cellTanh": s.cellTanh, "out": s.out,
		"dCellBefore": s.dCellBefore, "dHidden": s.dHidden, "dInput": s.dInput, "dGates": s.dGates,
		"dGammaH": s.dGammaH, "dGammaX": s.dGammaX, "dBeta": s.dBeta, "dGammaC": s.dGammaC, "dBetaC": s.dBetaC,
		"columnSum": s.columnSum,
	}
}

// figure is a value in float64 and the size of what was added up to it, which
// rounding errors are relative to.
type figure struct{ value, size float64 }

func term(v float64) figure { return figure{v, math.Abs(v)} }

func (f figure) plus(g figure) figure { return figure{f.value + g.value, f.size + g.size} }

func (f figure) times(factor float64) figure {
	return figure{f.value * factor, f.size * math.Abs(factor)}
}

// tolerance is relative to a figure's size. It is what package vecmath promises
// of an activation, and room enough for the sum of 100 rows in float32.
const tolerance = 1e-6
