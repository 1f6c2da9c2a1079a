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

// roundAcross writes the rounding of pairs of rows to two rows, the second of a pair to the first.
func roundAcross(m emit.Machine) {
	var r rounding
	across(m, "roundAcross", 2, func() {
		r = newRounding(m)
	}, func(low, high scaledRow, to []Mem, tail emit.Tail) {
		for i, from := range []scaledRow{high, low} {
			v := m.Load(from.at, tail)
			VMULPS(from.factor, v, v)
			m.Store(r.round(v), to[i], tail)
		}
	})
}
