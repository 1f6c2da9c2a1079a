// Command gates generates the assembly of accel/kernels/gates. Each function works on one vector
// of columns and on all rows of it. Strides are in bytes.
package main

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

func main() {
	for _, m := range append(slices.Clone(emit.Machines), emit.NEON) {
		fetch(m)
		moments(m)
		sumColumns(m)
		fold(m)
		gateForward(m, "gateTanh", m.Tanh)
		gateForward(m, "gateSigmoid", m.Sigmoid)
		cellForward(m)
		outputForward(m)
		outputBackward(m)
		gatesBackward(m)
		affinePairBackward(m)
		affineBackward(m)
		candidateForward(m)
		updateForward(m)
		updateBackward(m)
	}
	emit.Write()
}

// loadInput loads the columns of an input. Where scalar is not 0, they are all the number at the
// row's beginning.
func loadInput(m emit.Machine, row emit.Row, scalar GPVirtual, tail emit.Tail) VecVirtual {
	v := m.Vector()
	m.Rarely(func(label string) { m.JumpIfNotZero(scalar, label) },
		func() { m.SpreadTo(v, row.Mem()) },
		func() { m.LoadTo(v, row.Mem(), tail) })
	return v
}

// vector loads the columns of the argument name, which has one element for each column.
func vector(m emit.Machine, name string, tail emit.Tail) VecVirtual {
	return m.Load(operand.Mem{Base: m.Pointer(name)}, tail)
}

func storeVector(m emit.Machine, v VecVirtual, name string, tail emit.Tail) {
	m.Store(v, operand.Mem{Base: m.Pointer(name)}, tail)
}

// addVector adds v to the columns of the argument name.
func addVector(m emit.Machine, v VecVirtual, name string, tail emit.Tail) {
	at := operand.Mem{Base: m.Pointer(name)}
	m.Store(m.Add(m.Load(at, tail), v), at, tail)
}

func fetch(m emit.Machine) {
	m.Function("fetch", "func(x *float32, xStride, rows int)")
	x := m.NewRow("x")
	m.Rows([]emit.Row{x}, func() { m.Prefetch(x.Mem()) })
	m.Return()
}

func moments(m emit.Machine) {
	m.Function("moments", "func(mean, rstd, x *float32, xStride int, order *int32, rows, lanes int, count, epsilon float32)")
	m.Columns(func(tail emit.Tail) {
		count := m.Spread(m.Argument("count"))
		x := m.NewInputRow("x")
		mean := m.Div(m.Sum(x, func(sum VecVirtual) {
			m.Fetch(x)
			m.Accumulate(sum, m.Load(x.Mem(), tail))
		}), count)
		storeVector(m, mean, "mean", tail)
		x = m.NewInputRow("x")
		variance := m.Div(m.Sum(x, func(sum VecVirtual) {
			deviation := m.Sub(m.Load(x.Mem(), tail), mean)
			m.AddProduct(sum, deviation, deviation)
		}), count)
		deviation := m.Sqrt(m.Add(variance, m.Spread(m.Argument("epsilon"))))
		storeVector(m, m.Div(m.Constant(emit.Float(1)), deviation), "rstd", tail)
	})
}

func sumColumns(m emit.Machine) {
	m.Function("sumColumns", "func(sum, x *float32, xStride, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		x := m.NewRow("x")
		addVector(m, m.Sum(x, func(sum VecVirtual) {
			m.Accumulate(sum, m.Load(x.Mem(), tail))
		}), "sum", tail)
	})
}

func fold(m emit.Machine) {
	m.Function("fold", "func(scale, shift, gamma, beta, mean, rstd *float32, lanes int)")
	m.Columns(func(tail emit.Tail) {
		scale := m.Mul(vector(m, "gamma", tail), vector(m, "rstd", tail))
		shift := vector(m, "beta", tail)
		m.SubProduct(shift, scale, vector(m, "mean", tail))
		storeVector(m, scale, "scale", tail)
		storeVector(m, shift, "shift", tail)
	})
}
