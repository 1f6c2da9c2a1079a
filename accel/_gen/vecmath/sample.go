package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// generator draws from SplitMix64 as dropout does. A vector of 64-bit words is a vector of
// 32-bit draws in the order of the elements.
type generator struct{ state, stride VecVirtual }

// newGenerator begins with the argument state.
func newGenerator(m emit.Machine) generator {
	words := m.Lanes / 2
	offsets := make([]operand.U64, words)
	for i := range offsets {
		offsets[i] = operand.U64(i+1) * increment // overflows, as intended
	}
	g := generator{m.Vector(), m.Vector()}
	VPBROADCASTQ(emit.Argument("state"), g.state)
	m.AddWords(g.state, emit.Table("offsets"+m.Suffix, offsets))
	VPBROADCASTQ(emit.Word(uint64(words)*increment).Mem(), g.stride)
	return g
}

// next returns the next vector of draws.
func (g generator) next(m emit.Machine) VecVirtual {
	z := m.MulWords(xorShifted(m, g.state, 30), emit.Word(multiplier))
	z = m.MulWords(xorShifted(m, z, 27), emit.Word(finisher))
	m.AddWords(g.state, g.stride)
	return xorShifted(m, z, 31)
}

const sign = 0x80000000

// sampleBinary sets dst to +alpha if x > draw·unit, where draw is a signed number, and to −alpha
// otherwise.
func sampleBinary(m emit.Machine) {
	sample(m, "sampleBinary", func(x, draw, alpha, unit VecVirtual) VecVirtual {
		VPSRAD(operand.Imm(8), draw, draw)
		VCVTDQ2PS(draw, draw)
		difference := m.Sub(m.Mul(draw, unit), x)
		signs := m.Constant(emit.Bits(sign))
		return m.Or(alpha, m.Xor(m.And(difference, signs), signs))
	})
}

// sampleTernary sets dst to alpha with the sign of x if |x| > draw·unit, where draw is an
// unsigned number, and to 0 otherwise.
func sampleTernary(m emit.Machine) {
	sample(m, "sampleTernary", func(x, draw, alpha, unit VecVirtual) VecVirtual {
		VPSRLD(operand.Imm(8), draw, draw)
		VCVTDQ2PS(draw, draw)
		below := m.Sub(m.Mul(draw, unit), m.And(x, emit.Bits(^uint32(sign))))
		VPSRAD(operand.Imm(31), below, below)
		return m.And(m.Or(alpha, m.And(x, emit.Bits(sign))), below)
	})
}

// sample sets dst[i] = choose(x[i], draw i, …) and returns whether all of x is finite. If an
// exponent is all ones, adding 1 to it carries into the sign bit.
func sample(m emit.Machine, name string, choose func(x, draw, alpha, unit VecVirtual) VecVirtual) {
	m.Function(name, "func(dst, x []float32, alpha, unit float32, state uint64) bool")
	dst, x, count := emit.Slice("dst"), emit.Slice("x"), emit.Length("x")
	draws, seen := newGenerator(m), m.Zero()
	alpha, unit := m.Spread(emit.Argument("alpha")), m.Spread(emit.Argument("unit"))
	exponentLow := m.Constant(emit.Bits(1 << 23))
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		v := m.Load(emit.At(x, index), tail)
		exponents := m.And(v, emit.Bits(^uint32(sign)))
		VPADDD(exponentLow, exponents, exponents)
		m.Include(seen, exponents)
		m.Store(choose(v, draws.next(m), alpha, unit), emit.At(dst, index), tail)
	})
	all := GP32()
	VMOVD(m.Fold(seen, VORPS), all)
	NOTL(all)
	SHRL(operand.Imm(31), all)
	Store(all.As8(), ReturnIndex(0))
	m.Return()
}
