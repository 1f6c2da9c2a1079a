package cpu

import (
	"math"

	"bittern/accel/kernels/lut"
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/stepgraph"
)

// instruction is one operation of a time step on some sessions of a machine.
type instruction interface {
	run(m *machine, sessions []*session)
}

// each is an operation that runs on one session after the other.
type each struct {
	operation interface{ run(s *session) }
}

func (i each) run(_ *machine, sessions []*session) {
	for _, s := range sessions {
		i.operation.run(s)
	}
}

// together is an operation that multiplies one matrix by a vector of each session.
type together struct {
	operation interface {
		weight() *lut.Matrix
		product(s *session) lut.Product
	}
}

func (i together) run(m *machine, sessions []*session) {
	products := m.products[:len(sessions)]
	for at, s := range sessions {
		products[at] = i.operation.product(s)
	}
	i.operation.weight().Multiply(products...)
}

// operand is a value, or a table with a row for each time step.
type operand struct {
	value value
	table stepgraph.Table
	size  int
}

func (o operand) at(s *session) []float32 {
	if o.table.Rows > 0 {
		return o.table.Row(s.step, o.size)
	}
	return s.at(o.value)
}

// setActivations makes x the vector that the matrices of a slot multiply.
type setActivations struct {
	slot int
	x    value
}

func (i setActivations) run(s *session) { s.activations[i.slot].Set(s.at(i.x)) }

// multiply is y = W·x.
type multiply struct {
	matrix *lut.Matrix
	slot   int
	y      value
}

func (i multiply) weight() *lut.Matrix { return i.matrix }

func (i multiply) product(s *session) lut.Product {
	return lut.Product{Y: s.at(i.y), X: s.activations[i.slot]}
}

// multiplyScaleShift is y = scale∘(W·x) + shift.
type multiplyScaleShift struct {
	multiply
	scale, shift operand
}

func (i multiplyScaleShift) product(s *session) lut.Product {
	p := i.multiply.product(s)
	p.Scale, p.Shift = i.scale.at(s), i.shift.at(s)
	return p
}

// lookup is y = the token's column of W.
type lookup struct {
	columns *lut.Columns
	input   int // which token
	y       value
}

func (i lookup) run(s *session) { i.columns.Column(s.at(i.y), int(s.tokens[i.input]), s.workspace) }

// lookupScaleAdd is y = scale∘(the token's column of W) + other.
type lookupScaleAdd struct {
	lookup
	scale, other operand
}

func (i lookupScaleAdd) run(s *session) {
	i.columns.ColumnScaleAdd(s.at(i.y), int(s.tokens[i.input]), i.scale.at(s), i.other.at(s), s.workspace)
}

// multiplyAdd is y = a∘b + c, rounded once where the processor can.
type multiplyAdd struct {
	y       value
	a, b, c operand
}

func (i multiplyAdd) run(s *session) {
	vecmath.ScaleShift(s.at(i.y), i.a.at(s), i.b.at(s), i.c.at(s))
}

// apply is y = of(x), where of is an activation.
type apply struct {
	of   stepgraph.Op
	y, x value
}

func (i apply) run(s *session) {
	if i.of == stepgraph.Tanh {
		vecmath.Tanh(s.at(i.y), s.at(i.x))
	} else {
		vecmath.Sigmoid(s.at(i.y), s.at(i.x))
	}
}

// normalize is y = (x − mean(x))/√(var(x) + epsilon), with sums in float64. The mean is
// subtracted twice: the second time removes the error that rounding the first mean to
// float32 left.
type normalize struct {
	y, x    value
	ones    operand
	epsilon float64
}

func (i normalize) run(s *session) {
	y, ones := s.at(i.y), i.ones.at(s)
	copy(y, s.at(i.x))
	n := float64(len(y))
	vecmath.Axpy(y, float32(-vecmath.Dot(y, ones)/n), ones)
	mean := vecmath.Dot(y, ones) / n
	variance := max(0, vecmath.SumSquares(y)/n-mean*mean)
	vecmath.Axpy(y, float32(-mean), ones)
	vecmath.Scale(y, float32(1/math.Sqrt(variance+i.epsilon)))
}

// round is y = the level nearest to each element of x.
type round struct {
	y, x value
	bits int
}

func (i round) run(s *session) { vecmath.Round(s.at(i.y), s.at(i.x), i.bits) }

// move copies x.
type move struct{ y, x value }

func (i move) run(s *session) { copy(s.at(i.y), s.at(i.x)) }
