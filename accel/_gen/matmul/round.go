package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// rounding rounds to bfloat16 and keeps the numbers as float32, for machines whose products are of
// float32.
type rounding struct {
	m                              emit.Machine
	one, half, upper, sign, normal VecVirtual
}

func newRounding(m emit.Machine) rounding {
	constant := func(bits uint32) VecVirtual { return m.Constant(emit.Bits(bits)) }
	return rounding{m, constant(1), constant(0x7fff), constant(0xffff0000), constant(1 << 31), constant(0x7f800000)}
}

// round returns v rounded to nearest even. A subnormal number becomes 0 of its sign; NaN stays NaN,
// as the bit that is added to it makes sure of.
func (r rounding) round(v VecVirtual) VecVirtual {
	m, out := r.m, r.m.Vector()
	VPSRLD(Imm(16), v, out)
	out = m.And(out, r.one)
	VPADDD(r.half, out, out)
	VPADDD(v, out, out)
	const unordered = 3
	if m.Wide() {
		nan, tiny := K(), K()
		VCMPPS(Imm(unordered), v, v, nan)
		VPORD_BCST(emit.Bits(1<<22).Mem(), v, nan, out)
		VPTESTNMD(r.normal, v, tiny)
		VPANDD(r.sign, v, tiny, out)
	} else {
		mask := m.Vector()
		VCMPPS(Imm(unordered), v, v, mask)
		VBLENDVPS(mask, m.Or(v, emit.Bits(1<<22)), out, out)
		tiny := m.And(v, r.normal)
		VPCMPEQD(m.Zero(), tiny, tiny)
		VBLENDVPS(tiny, m.And(v, r.sign), out, out)
	}
	return m.And(out, r.upper)
}

// roundAlong rounds a row and exchanges neighbours, as the second of each pair is multiplied first.
func roundAlong(m emit.Machine) {
	m.Function("roundAlong", "func(dst, src, scale []float32, factor float32, n int)")
	dst, src, scale, n := emit.Slice("dst"), emit.Slice("src"), emit.Slice("scale"), emit.Pointer("n")
	factor, r := m.Spread(emit.Argument("factor")), newRounding(m)
	at := GP64()
	XORQ(at, at)
	Label("vector")
	v := m.Vector()
	VMULPS(emit.At(src, at), factor, v)
	TESTQ(scale, scale)
	JZ(LabelRef("unscaled"))
	VMULPS(emit.At(scale, at), v, v)
	Label("unscaled")
	v = r.round(v)
	VPERMILPS(Imm(0xB1), v, v)
	VMOVUPS(v, emit.At(dst, at))
	ADDQ(Imm(uint64(m.Lanes)), at)
	CMPQ(at, n)
	JB(LabelRef("vector"))
	m.Return()
}

// roundAcross rounds two rows and exchanges them.
func roundAcross(m emit.Machine) {
	m.Function("roundAcross", "func(dst []float32, dstStride int, low, high []float32, lowFactor, highFactor float32, ahead, n int)")
	dst, stride := emit.Slice("dst"), emit.Pointer("dstStride")
	low, high, n := emit.Slice("low"), emit.Slice("high"), emit.Pointer("n")
	lowFactor, highFactor, r := m.Spread(emit.Argument("lowFactor")), m.Spread(emit.Argument("highFactor")), newRounding(m)
	second, at := GP64(), GP64()
	LEAQ(Mem{Base: dst, Index: stride, Scale: 4}, second)
	XORQ(at, at)
	Label("vector")
	for _, row := range []struct {
		from, to GPVirtual
		factor   VecVirtual
	}{{high, dst, highFactor}, {low, second, lowFactor}} {
		v := m.Vector()
		VMULPS(emit.At(row.from, at), row.factor, v)
		VMOVUPS(r.round(v), emit.At(row.to, at))
	}
	ADDQ(Imm(uint64(m.Lanes)), at)
	CMPQ(at, n)
	JB(LabelRef("vector"))
	m.Return()
}
