package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// AddWords sets a = a + b in 64-bit lanes. b is a vector or a table in memory.
func (m Machine) AddWords(a VecVirtual, b operand.Op) { VPADDQ(b, a, a) }

// Include sets the bits of a that are set in b.
func (m Machine) Include(a, b VecVirtual) {
	if m.Wide() {
		VPORD(b, a, a)
	} else {
		VPOR(b, a, a)
	}
}

// Xor returns the bits in which a and b differ.
func (m Machine) Xor(a, b VecVirtual) VecVirtual { return m.binary(VXORPS, VXORPS_BCST, "eor", a, b) }

// MulWords returns the lower 64 bits of a·b in 64-bit lanes.
func (m Machine) MulWords(a VecVirtual, b Constant) VecVirtual {
	if m.Wide() {
		v := m.Vector()
		VPMULLQ_BCST(b.Mem(), a, v)
		return v
	}
	// AVX2 multiplies 32 by 32 bits. So the product is low·low + (high·low + low·high)·2³². The
	// sum in brackets comes from one product of a with b whose halves are swapped.
	factor, swapped, crossed, carried, v := m.Vector(), m.Vector(), m.Vector(), m.Vector(), m.Vector()
	VPBROADCASTQ(b.Mem(), factor)
	VPSHUFD(operand.Imm(0xB1), factor, swapped)
	VPMULLD(swapped, a, crossed)
	VPSRLQ(operand.Imm(32), crossed, carried)
	VPADDD(crossed, carried, carried)
	VPSLLQ(operand.Imm(32), carried, carried)
	VPMULUDQ(factor, a, v)
	VPADDQ(carried, v, v)
	return v
}

// ZeroBelow returns v with the lanes set to 0 whose draw is below the threshold, compared as
// unsigned 32-bit numbers.
func (m Machine) ZeroBelow(v, draw, threshold VecVirtual) VecVirtual {
	kept := m.Vector()
	if m.Wide() {
		const notLess = 5
		keep := K()
		VPCMPUD(operand.Imm(notLess), threshold, draw, keep)
		VMOVUPS_Z(v, keep, kept)
		return kept
	}
	VPMINUD(threshold, draw, kept)
	VPCMPEQD(threshold, kept, kept)
	return m.And(v, kept)
}

// Integers rounds the lanes of two vectors of float64 to int32 and returns them as one vector.
func (m Machine) Integers(lower, upper VecVirtual) VecVirtual {
	return m.halved(lower, upper, VCVTPD2DQY, VCVTPD2DQ)
}

// halved converts two vectors of float64 to lanes of 32 bits and returns them as one vector.
func (m Machine) halved(lower, upper VecVirtual, narrow, wide instruction) VecVirtual {
	v := m.Vector()
	if m.Wide() {
		low, high := YMM(), YMM()
		wide(lower, low)
		wide(upper, high)
		VINSERTI64X4(operand.Imm(1), high, low.AsZ(), v)
		return v
	}
	low, high := XMM(), XMM()
	narrow(lower, low)
	narrow(upper, high)
	VINSERTI128(operand.Imm(1), high, low.AsY(), v)
	return v
}
