package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// largest returns the bits of the largest magnitude. Magnitudes are ordered like their bits as
// whole numbers, and NaN is above infinity.
func largest(m emit.Machine) {
	m.Function("largest", "func(x []float32) uint32")
	x, count := m.Slice("x"), m.Length("x")
	most := m.Zero()
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		magnitude := m.And(m.Load(emit.At(x, index), tail), emit.Bits(0x7FFFFFFF))
		if m == neon {
			emit.ARM("umax", most, most, magnitude)
		} else {
			VPMAXUD(magnitude, most, most)
		}
	})
	if m == neon {
		emit.ARM("umaxv", most, most)
		emit.ARMResult(most)
		m.Return()
		return
	}
	result := GP32()
	VMOVD(m.Fold(most, VPMAXUD), result)
	Store(result, ReturnIndex(0))
	m.Return()
}

// quantize sets q = x·inverse, rounded to the nearest whole number (of two, the even one), and
// returns the sum of q. The length of x is a multiple of 16.
func quantize(m emit.Machine) {
	m.Function("quantize", "func(q []int16, x []float32, inverse float32) int32")
	q, x, count := m.Slice("q"), m.Slice("x"), m.Length("x")
	inverse, sum := m.Spread(m.Argument("inverse")), m.Zero()
	if m == neon {
		quantizeNEON(q, x, count, inverse, sum)
		return
	}
	Label("next")
	whole := m.Vector()
	VCVTPS2DQ(m.Mul(inverse, Mem{Base: x}), whole)
	VPADDD(whole, sum, sum)
	if m.Wide() {
		VPMOVDW(whole, Mem{Base: q})
	} else {
		low, high := XMM(), XMM()
		VEXTRACTI128(Imm(0), whole, low)
		VEXTRACTI128(Imm(1), whole, high)
		VPACKSSDW(high, low, low)
		VMOVDQU(low, Mem{Base: q})
	}
	ADDQ(Imm(uint64(m.Bytes())), x)
	ADDQ(Imm(uint64(m.Bytes()/2)), q)
	SUBQ(Imm(uint64(m.Lanes)), count)
	JNZ(LabelRef("next"))
	result := GP32()
	VMOVD(m.Fold(sum, VPADDD), result)
	Store(result, ReturnIndex(0))
	m.Return()
}

// quantizeNEON rounds two vectors at a time, as many as fill one of 16-bit numbers.
func quantizeNEON(q, x, count GPVirtual, inverse, sum VecVirtual) {
	neon.Label("next")
	var halves [2]VecVirtual
	for i := range halves {
		whole := neon.Mul(neon.Load(Mem{Base: x, Disp: 16 * i}, emit.All), inverse)
		emit.ARM("fcvtns", whole, whole)
		emit.ARM("add", sum, sum, whole)
		halves[i] = whole
	}
	words := neon.Vector()
	emit.ARM("uzp1.8h", words, halves[0], halves[1])
	neon.Store(words, Mem{Base: q}, emit.All)
	neon.Advance(x, 32)
	neon.Advance(q, 16)
	neon.Advance(count, -8)
	neon.JumpIfPositive(count, "next")
	emit.ARM("addv", sum, sum)
	emit.ARMResult(sum)
	neon.Return()
}

// fromIntegers converts int32 lanes to float32. It writes two functions: y = y·factor, and y =
// y·factor·scale + shift.
func fromIntegers(m emit.Machine) {
	convert := func(y, index GPVirtual, tail emit.Tail, factor VecVirtual) VecVirtual {
		v := m.Vector()
		if whole := m.Load(emit.At(y, index), tail); m == neon {
			emit.ARM("scvtf", v, whole)
		} else {
			VCVTDQ2PS(whole, v)
		}
		return m.Mul(v, factor)
	}
	m.Function("fromIntegers", "func(y []float32, factor float32)")
	y, count := m.Slice("y"), m.Length("y")
	factor := m.Spread(m.Argument("factor"))
	m.FewElements(count, func(index GPVirtual, tail emit.Tail) {
		m.Store(convert(y, index, tail, factor), emit.At(y, index), tail)
	})
	m.Return()

	m.Function("fromIntegersScaleShift", "func(y []float32, factor float32, scale, shift []float32)")
	y, count = m.Slice("y"), m.Length("y")
	scale, shift := m.Slice("scale"), m.Slice("shift")
	factor = m.Spread(m.Argument("factor"))
	m.FewElements(count, func(index GPVirtual, tail emit.Tail) {
		v := convert(y, index, tail, factor)
		v = m.MulAdd(v, m.Load(emit.At(scale, index), tail), m.Load(emit.At(shift, index), tail))
		m.Store(v, emit.At(y, index), tail)
	})
	m.Return()
}
