package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// loop is m.Elements, m.ElementsInChains or m.FewElements.
type loop = func(count GPVirtual, body func(index GPVirtual, tail emit.Tail))

// elementwise writes a function that sets dst[i] = body(the other slices at i) for len(dst)
// elements.
func elementwise(m emit.Machine, elements loop, others []string, body func(values []VecVirtual) VecVirtual) {
	dst, count := m.Slice("dst"), m.Length("dst")
	bases := make([]GPVirtual, len(others))
	for i, name := range others {
		bases[i] = m.Slice(name)
	}
	elements(count, func(index GPVirtual, tail emit.Tail) {
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
	}{{"sigmoid", m.Sigmoid}, {"tanh", m.Tanh}} {
		m.Function(activation.name, "func(dst, x []float32)")
		elementwise(m, m.ElementsInChains, []string{"x"}, func(v []VecVirtual) VecVirtual { return activation.of(v[0]) })
	}
}

func linear(m emit.Machine) {
	m.Function("add", "func(dst, x []float32)")
	elementwise(m, m.FewElements, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual { return m.Add(v[0], v[1]) })

	m.Function("mul", "func(dst, x []float32)")
	elementwise(m, m.FewElements, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual { return m.Mul(v[0], v[1]) })

	m.Function("axpy", "func(dst []float32, a float32, x []float32)")
	a := m.Spread(m.Argument("a"))
	elementwise(m, m.FewElements, []string{"dst", "x"}, func(v []VecVirtual) VecVirtual {
		m.AddProduct(v[0], a, v[1])
		return v[0]
	})

	m.Function("scale", "func(dst []float32, a float32)")
	factor := m.Spread(m.Argument("a"))
	elementwise(m, m.FewElements, []string{"dst"}, func(v []VecVirtual) VecVirtual { return m.Mul(v[0], factor) })

	m.Function("scaleShift", "func(dst, scale, x, shift []float32)")
	elementwise(m, m.FewElements, []string{"scale", "x", "shift"}, func(v []VecVirtual) VecVirtual {
		v[0] = m.MulAdd(v[0], v[1], v[2])
		return v[0]
	})
}

// reciprocalDeviation computes in float64.
func reciprocalDeviation(m emit.Machine) {
	m.Function("reciprocalDeviation", "func(dst, variance []float32, epsilon float64)")
	epsilon, one := m.Vector(), m.Vector()
	VBROADCASTSD(emit.Argument("epsilon"), epsilon)
	VBROADCASTSD(emit.Word(math.Float64bits(1)).Mem(), one)
	elementwise(m, m.FewElements, []string{"variance"}, func(v []VecVirtual) VecVirtual {
		lower, upper := m.Doubles(v[0])
		for _, half := range []VecVirtual{lower, upper} {
			VADDPD(epsilon, half, half)
			VSQRTPD(half, half)
			VDIVPD(half, one, half)
		}
		return m.Floats(lower, upper)
	})
}

func dot(m emit.Machine) {
	m.Function("dot", "func(x, y []float32) float64")
	x, y, count := m.Slice("x"), m.Slice("y"), m.Length("x")
	sums := [2]VecVirtual{m.Zero(), m.Zero()}
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		xLower, xUpper := m.Doubles(m.Load(emit.At(x, index), tail))
		yLower, yUpper := m.Doubles(m.Load(emit.At(y, index), tail))
		VFMADD231PD(xLower, yLower, sums[0])
		VFMADD231PD(xUpper, yUpper, sums[1])
	})
	returnSum(m, sums)
}

// returnSum ends a function by returning the sum of all lanes of sums.
func returnSum(m emit.Machine, sums [2]VecVirtual) {
	VMOVSD(m.SumDoubles(sums).AsX(), emit.Place(ReturnIndex(0)))
	m.Return()
}
