// Command gates generates the assembly of accel/kernels/gates. Each function works on one vector
// of columns and on all rows of it. Strides are in bytes.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

func main() {
	for _, m := range emit.Machines {
		for _, from := range []source{inOrder, gathered} {
			moments(m, from)
			gateForward(m, from, "gateTanh", m.Tanh)
			gateForward(m, from, "gateSigmoid", m.Sigmoid)
			affinePairBackward(m, from)
			affineBackward(m, from)
			candidateForward(m, from)
		}
		gateForward(m, scalar, "gateTanh", m.Tanh)
		gateForward(m, scalar, "gateSigmoid", m.Sigmoid)
		affinePairBackwardScalar(m)
		sumColumns(m)
		fold(m)
		cellForward(m)
		outputForward(m)
		outputBackward(m)
		gatesBackward(m)
		updateForward(m)
		updateBackward(m)
	}
	Generate()
}

// source says how the rows of an input are stored: in order; gathered from a table by the
// argument order, where a row may occur more than once; or as one number for all columns.
type source struct {
	suffix, argument string
	row              func(name string) emit.Row
	load             func(m emit.Machine, row emit.Row, tail emit.Tail) VecVirtual
}

var (
	inOrder  = source{"", "", emit.NewRow, loadColumns}
	gathered = source{"Gathered", ", order *int32", emit.NewGatheredRow, loadColumns}
	scalar   = source{"Scalar", "", emit.NewRow, func(m emit.Machine, row emit.Row, _ emit.Tail) VecVirtual { return m.Spread(row.Mem()) }}
)

func loadColumns(m emit.Machine, row emit.Row, tail emit.Tail) VecVirtual {
	return m.Load(row.Mem(), tail)
}

// vector loads the columns of the argument name, which has one element for each column.
func vector(m emit.Machine, name string, tail emit.Tail) VecVirtual {
	return m.Load(operand.Mem{Base: emit.Pointer(name)}, tail)
}

func storeVector(m emit.Machine, v VecVirtual, name string, tail emit.Tail) {
	m.Store(v, operand.Mem{Base: emit.Pointer(name)}, tail)
}

// addVector adds v to the columns of the argument name.
func addVector(m emit.Machine, v VecVirtual, name string, tail emit.Tail) {
	at := operand.Mem{Base: emit.Pointer(name)}
	m.Store(m.Add(m.Load(at, tail), v), at, tail)
}

func moments(m emit.Machine, from source) {
	m.Function("moments"+from.suffix, "func(mean, rstd, x *float32, xStride int"+from.argument+", rows, lanes int, count, epsilon float32)")
	m.Columns(func(tail emit.Tail) {
		count := m.Spread(emit.Argument("count"))
		x := from.row("x")
		mean := m.Div(m.Sum(x, func(sum VecVirtual) {
			x.Fetch()
			VADDPS(m.Load(x.Mem(), tail), sum, sum)
		}), count)
		storeVector(m, mean, "mean", tail)
		x = from.row("x")
		variance := m.Div(m.Sum(x, func(sum VecVirtual) {
			deviation := m.Sub(m.Load(x.Mem(), tail), mean)
			m.AddProduct(sum, deviation, deviation)
		}), count)
		deviation := m.Sqrt(m.Add(variance, m.Spread(emit.Argument("epsilon"))))
		storeVector(m, m.Div(m.Constant(emit.Float(1)), deviation), "rstd", tail)
	})
}

func sumColumns(m emit.Machine) {
	m.Function("sumColumns", "func(sum, x *float32, xStride, rows, lanes int)")
	m.Columns(func(tail emit.Tail) {
		x := emit.NewRow("x")
		addVector(m, m.Sum(x, func(sum VecVirtual) {
			VADDPS(m.Load(x.Mem(), tail), sum, sum)
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
