// Command fixed generates the assembly of accel/kernels/fixed. Each function works on whole
// vectors: lengths are multiples of the lanes.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

func main() {
	for _, m := range emit.Machines {
		scale(m, "scaleSums", "[]float64", sums)
		scale(m, "scaleIntegers", "[]int32", integers)
		add(m)
		multiply(m)
		convert(m)
		widen(m, "widen", false)
		widen(m, "accumulate", true)
		narrow(m)
	}
	emit.Write()
}

// elements runs body for the elements of an argument, one vector at a time.
func elements(m emit.Machine, name string, body func(index GPVirtual)) {
	m.Vectors(emit.Length(name), body)
	m.Return()
}

// conversion is the argument c, a fixed.Conversion, in registers.
type conversion struct{ left, right, bias, odd, low, high VecVirtual }

func newConversion(m emit.Machine) conversion {
	var c conversion
	for i, field := range []*VecVirtual{&c.left, &c.right, &c.bias, &c.odd, &c.low, &c.high} {
		*field = m.Spread(emit.Place(Param("c").Index(i)))
	}
	return c
}

// of converts v in place.
func (c conversion) of(m emit.Machine, v VecVirtual) VecVirtual {
	rounding := m.Vector()
	VPSLLVD(c.left, v, v)
	VPSRAVD(c.right, v, rounding)
	rounding = m.And(rounding, c.odd)
	VPADDD(c.bias, rounding, rounding)
	VPADDD(rounding, v, v)
	VPSRAVD(c.right, v, v)
	return saturate(v, c.low, c.high)
}

func saturate(v, low, high VecVirtual) VecVirtual {
	VPMAXSD(low, v, v)
	VPMINSD(high, v, v)
	return v
}

// integers loads a vector of int32 as two vectors of float64.
func integers(m emit.Machine, base, index GPVirtual) [2]VecVirtual {
	var halves [2]VecVirtual
	for i := range halves {
		halves[i] = m.Vector()
		VCVTDQ2PD(emit.At(base, index).Offset(i*m.Bytes()/2), halves[i])
	}
	return halves
}

func sums(m emit.Machine, base, index GPVirtual) [2]VecVirtual {
	var halves [2]VecVirtual
	for i := range halves {
		halves[i] = m.Vector()
		VMOVUPD(double(base, index).Offset(i*m.Bytes()), halves[i])
	}
	return halves
}

// double is the address of element index of a float64 slice.
func double(base, index GPVirtual) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: 8}
}

// scale writes ScaleSums and ScaleIntegers. They limit values before rounding them. The bounds
// are whole numbers, so the result is the same as with rounding first.
func scale(m emit.Machine, name, operands string, load func(m emit.Machine, base, index GPVirtual) [2]VecVirtual) {
	m.Function(name, "func(y []int32, x "+operands+", factor []float64, offset []int32, limits [2]float64, c [6]int32)")
	y, x, factor, offset := emit.Slice("y"), emit.Slice("x"), emit.Slice("factor"), emit.Slice("offset")
	var bounds, whole [2]VecVirtual
	for i := range bounds {
		bounds[i] = m.Vector()
		VBROADCASTSD(emit.Place(Param("limits").Index(i)), bounds[i])
		whole[i] = m.Vector()
	}
	for i := range whole {
		whole[i] = m.Integers(bounds[i], bounds[i])
	}
	c := newConversion(m)
	elements(m, "y", func(index GPVirtual) {
		halves := load(m, x, index)
		for i, v := range halves {
			VMULPD(double(factor, index).Offset(i*m.Bytes()), v, v)
			VMAXPD(bounds[0], v, v)
			VMINPD(bounds[1], v, v)
		}
		v := m.Integers(halves[0], halves[1])
		VPADDD(emit.At(offset, index), v, v)
		m.Store(c.of(m, saturate(v, whole[0], whole[1])), emit.At(y, index), emit.All)
	})
}

func add(m emit.Machine) {
	m.Function("add", "func(z, x, y []int32, left [2]int32, c [6]int32)")
	z, x, y := emit.Slice("z"), emit.Slice("x"), emit.Slice("y")
	shifts := [2]VecVirtual{m.Spread(emit.Place(Param("left").Index(0))), m.Spread(emit.Place(Param("left").Index(1)))}
	c := newConversion(m)
	elements(m, "z", func(index GPVirtual) {
		a, b := m.Load(emit.At(x, index), emit.All), m.Load(emit.At(y, index), emit.All)
		VPSLLVD(shifts[0], a, a)
		VPSLLVD(shifts[1], b, b)
		VPADDD(b, a, a)
		m.Store(c.of(m, a), emit.At(z, index), emit.All)
	})
}

func multiply(m emit.Machine) {
	m.Function("multiply", "func(z, x, y []int32, c [6]int32)")
	z, x, y := emit.Slice("z"), emit.Slice("x"), emit.Slice("y")
	c := newConversion(m)
	elements(m, "z", func(index GPVirtual) {
		v := m.Load(emit.At(x, index), emit.All)
		VPMULLD(emit.At(y, index), v, v)
		m.Store(c.of(m, v), emit.At(z, index), emit.All)
	})
}

func convert(m emit.Machine) {
	m.Function("convert", "func(y, x []int32, c [6]int32)")
	y, x := emit.Slice("y"), emit.Slice("x")
	c := newConversion(m)
	elements(m, "y", func(index GPVirtual) {
		m.Store(c.of(m, m.Load(emit.At(x, index), emit.All)), emit.At(y, index), emit.All)
	})
}

// widen writes sum = x, or sum += x.
func widen(m emit.Machine, name string, add bool) {
	m.Function(name, "func(sum []float64, x []int32)")
	sum, x := emit.Slice("sum"), emit.Slice("x")
	elements(m, "sum", func(index GPVirtual) {
		for i, v := range integers(m, x, index) {
			to := double(sum, index).Offset(i * m.Bytes())
			if add {
				VADDPD(to, v, v)
			}
			VMOVUPD(v, to)
		}
	})
}

// narrow writes y = x. AVX2 packs within halves of a vector, so the quarters are put in order.
func narrow(m emit.Machine) {
	m.Function("narrow", "func(y []int16, x []int32)")
	y, x := emit.Slice("y"), emit.Slice("x")
	elements(m, "y", func(index GPVirtual) {
		to := operand.Mem{Base: y, Index: index, Scale: 2}
		v := m.Load(emit.At(x, index), emit.All)
		if m.Wide() {
			VPMOVDW(v, to)
			return
		}
		VPACKSSDW(v, v, v)
		VPERMQ(operand.Imm(0b1000), v, v)
		VMOVDQU(v.AsX(), to)
	})
}
