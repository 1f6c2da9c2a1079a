package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// elementwise writes dst[i] = body(of the other slices at i) for len(dst) elements.
func elementwise(m emit.Machine, others []string, body func(values []VecVirtual) VecVirtual) {
	dst, count := emit.Slice("dst"), emit.Length("dst")
	bases := make([]GPVirtual, len(others))
	for i, name := range others {
		bases[i] = emit.Slice(name)
	}
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		values := make([]VecVirtual, len(others))
		for i, base := range bases {
			values[i] = m.Load(emit.At(base, index), tail)
		}
		m.Store(body(values), emit.At(dst, index), tail)
	})
	m.Return()
}

func activations(m emit.Machine) {
	for _, activation := range []struct {
		name string
		of   func(VecVirtual) VecVirtual
	}{{"exp", m.Exp}, {"sigmoid", m.Sigmoid}, {"tanh", m.Tanh}} {
		m.Function(activation.name, "func(dst, x []float32)")
		elementwise(m, []string{"x"}, func(v []VecVirtual) VecVirtual { return activation.of(v[0]) })
	}
}

func linear(m emit.Machine) {
	m.Function("add", "func(dst, x []float32)")
	elementwise(m, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual { return m.Add(v[0], v[1]) })

	m.Function("mul", "func(dst, x []float32)")
	elementwise(m, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual { return m.Mul(v[0], v[1]) })

	m.Function("axpy", "func(dst []float32, a float32, x []float32)")
	a := m.Spread(emit.Argument("a"))
	elementwise(m, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual {
		m.AddProduct(v[0], a, v[1])
		return v[0]
	})

	m.Function("scale", "func(dst []float32, a float32)")
	factor := m.Spread(emit.Argument("a"))
	elementwise(m, []string{"dst"}, func(v []VecVirtual) VecVirtual { return m.Mul(v[0], factor) })

	m.Function("scaleShift", "func(dst, scale, x, shift []float32)")
	elementwise(m, []string{"scale", "x", "shift"}, func(v []VecVirtual) VecVirtual {
		m.MulAdd(v[0], v[1], v[2])
		return v[0]
	})

	m.Function("dot", "func(x, y []float32) float64")
	x, y, count := emit.Slice("x"), emit.Slice("y"), emit.Length("x")
	sums := [2]VecVirtual{m.Zero(), m.Zero()}
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		xLower, xUpper := m.Doubles(m.Load(emit.At(x, index), tail))
		yLower, yUpper := m.Doubles(m.Load(emit.At(y, index), tail))
		VFMADD231PD(xLower, yLower, sums[0])
		VFMADD231PD(xUpper, yUpper, sums[1])
	})
	returnSum(m, sums)
}

// returnSum ends a function that returns the sum of float64 sums.
func returnSum(m emit.Machine, sums [2]VecVirtual) {
	Store(m.SumDoubles(sums).AsX(), ReturnIndex(0))
	m.Return()
}

func softmax(m emit.Machine) {
	m.Function("max", "func(x []float32) float32")
	x, count := emit.Slice("x"), emit.Length("x")
	lowest := m.Constant(emit.Float(math.Inf(-1)))
	most := m.Constant(emit.Float(math.Inf(-1)))
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		// With most as the operand that NaN gives way to.
		VMAXPS(most, m.LoadOr(emit.At(x, index), tail, lowest), most)
	})
	Store(m.Fold(most, VMAXPS).AsX(), ReturnIndex(0))
	m.Return()

	m.Function("expSum", "func(dst, x []float32, shift float32) float64")
	dst := emit.Slice("dst")
	sumOfExponentials(m, func(e VecVirtual, index GPVirtual, tail emit.Tail) {
		m.Store(e, emit.At(dst, index), tail)
	})

	m.Function("sumExp", "func(x []float32, shift float32) float64")
	sumOfExponentials(m, func(VecVirtual, GPVirtual, emit.Tail) {})
}

// sumOfExponentials writes the rest of a function that returns Σ exp(x[i]−shift);
// each vector of exponentials is offered to use.
func sumOfExponentials(m emit.Machine, use func(e VecVirtual, index GPVirtual, tail emit.Tail)) {
	x, count := emit.Slice("x"), emit.Length("x")
	shift, lowest := m.Spread(emit.Argument("shift")), m.Constant(emit.Float(math.Inf(-1)))
	sums := [2]VecVirtual{m.Zero(), m.Zero()}
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		e := m.Exp(m.Sub(m.LoadOr(emit.At(x, index), tail, lowest), shift))
		use(e, index, tail)
		m.AccumulateDoubles(sums, e)
	})
	returnSum(m, sums)
}

// adam takes its common numbers in the order that accel/vecmath documents.
func adam(m emit.Machine) {
	m.Function("adam", "func(value, grad, m, v []float32, common [8]float32)")
	value, grad, first, second := emit.Slice("value"), emit.Slice("grad"), emit.Slice("m"), emit.Slice("v")
	count := emit.Length("value")
	var common [8]VecVirtual
	for i := range common {
		common[i] = m.Spread(emit.Place(Param("common").Index(i)))
	}
	gradScale, epsilon := common[0], common[7]
	beta1, fresh1, beta2, fresh2 := common[1], common[2], common[3], common[4]
	rate, spread := common[5], common[6]
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		g := m.Mul(m.Load(emit.At(grad, index), tail), gradScale)
		mean := m.Mul(m.Load(emit.At(first, index), tail), beta1)
		m.AddProduct(mean, g, fresh1)
		m.Store(mean, emit.At(first, index), tail)
		variance := m.Mul(m.Load(emit.At(second, index), tail), beta2)
		m.AddProduct(variance, m.Mul(g, g), fresh2)
		m.Store(variance, emit.At(second, index), tail)
		root := m.Sqrt(variance)
		m.MulAdd(root, spread, epsilon)
		step := m.Div(m.Mul(mean, rate), root)
		m.Store(m.Sub(m.Load(emit.At(value, index), tail), step), emit.At(value, index), tail)
	})
	m.Return()
}
