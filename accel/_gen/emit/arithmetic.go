package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// instruction is a function of avo that appends an instruction.
type instruction = func(...operand.Op)

// with appends plain(b, rest…), or its broadcasting form if b is a constant and the machine has
// that form.
func (m Machine) with(plain, broadcast instruction, b operand.Op, rest ...operand.Op) {
	takeTurns()
	if c, ok := b.(Constant); ok {
		b = c.Mem()
		if m.Wide() {
			plain = broadcast
		}
	}
	plain(append([]operand.Op{b}, rest...)...)
}

// binary returns the result of an instruction on a and b, which is called neon on arm64.
func (m Machine) binary(plain, broadcast instruction, neon string, a VecVirtual, b operand.Op) VecVirtual {
	v := m.Vector()
	if m.neon() {
		ARM(neon, v, a, m.Fixed(b))
		return v
	}
	m.with(plain, broadcast, b, a, v)
	return v
}

// Add returns a + b. Here and below, b is a vector or a Constant.
func (m Machine) Add(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VADDPS, VADDPS_BCST, "fadd", a, b)
}

// Sub returns a − b.
func (m Machine) Sub(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VSUBPS, VSUBPS_BCST, "fsub", a, b)
}

// Mul returns a·b.
func (m Machine) Mul(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VMULPS, VMULPS_BCST, "fmul", a, b)
}

// Div returns a/b.
func (m Machine) Div(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VDIVPS, VDIVPS_BCST, "fdiv", a, b)
}

// Min returns the smaller of a and b, and b if either is NaN.
func (m Machine) Min(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VMINPS, VMINPS_BCST, "fmin", a, b)
}

// Max returns the larger of a and b, and b if either is NaN.
func (m Machine) Max(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VMAXPS, VMAXPS_BCST, "fmax", a, b)
}

// And returns the bits set in both a and b.
func (m Machine) And(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VANDPS, VANDPS_BCST, "and", a, b)
}

// Or returns the bits set in either of a and b.
func (m Machine) Or(a VecVirtual, b operand.Op) VecVirtual {
	return m.binary(VORPS, VORPS_BCST, "orr", a, b)
}

// Sqrt returns √a.
func (m Machine) Sqrt(a VecVirtual) VecVirtual {
	v := m.Vector()
	if m.neon() {
		ARM("fsqrt", v, a)
	} else {
		VSQRTPS(a, v)
	}
	return v
}

// Round returns the whole number nearest to a; of two that are equally near, the even one.
func (m Machine) Round(a VecVirtual) VecVirtual {
	takeTurns()
	v := m.Vector()
	switch {
	case m.neon():
		ARM("frintn", v, a)
	case m.Wide():
		VRNDSCALEPS(operand.Imm(0), a, v)
	default:
		VROUNDPS(operand.Imm(0), a, v)
	}
	return v
}

// Accumulate sets sum = sum + a.
func (m Machine) Accumulate(sum, a VecVirtual) {
	if m.neon() {
		ARM("fadd", sum, sum, a)
	} else {
		VADDPS(a, sum, sum)
	}
}

// MulAdd returns a·b + c, rounded once. It changes a.
func (m Machine) MulAdd(a, b VecVirtual, c operand.Op) VecVirtual {
	if m.neon() {
		sum := m.Vector()
		ARM("mov", sum, m.Fixed(c))
		ARM("fmla", sum, a, b)
		return sum
	}
	m.with(VFMADD213PS, VFMADD213PS_BCST, c, b, a)
	return a
}

// AddProduct sets sum = sum + a·b, rounded once.
func (m Machine) AddProduct(sum, a VecVirtual, b operand.Op) {
	if m.neon() {
		ARM("fmla", sum, a, m.Fixed(b))
		return
	}
	m.with(VFMADD231PS, VFMADD231PS_BCST, b, a, sum)
}

// SubProduct sets difference = difference − a·b, rounded once.
func (m Machine) SubProduct(difference, a VecVirtual, b operand.Op) {
	if m.neon() {
		ARM("fmls", difference, a, m.Fixed(b))
		return
	}
	m.with(VFNMADD231PS, VFNMADD231PS_BCST, b, a, difference)
}

// Complement returns 1 − a·b, rounded once.
func (m Machine) Complement(a, b VecVirtual) VecVirtual {
	v := m.Constant(Float(1))
	m.SubProduct(v, a, b)
	return v
}

// The exponent bits that package accel/kernels/flush tests.
const (
	exponentBits        = 0x70000000
	exponentBitsSquared = 0x60000000
)

// Flush applies flush.ToZero to every lane.
func (m Machine) Flush(v VecVirtual) VecVirtual { return m.keepWhere(v, Bits(exponentBits)) }

// FlushBeforeSquare applies flush.BeforeSquare to every lane.
func (m Machine) FlushBeforeSquare(v VecVirtual) VecVirtual {
	return m.keepWhere(v, Bits(exponentBitsSquared))
}

// keepWhere returns v with the lanes set to 0 in which none of the bits is set.
func (m Machine) keepWhere(v VecVirtual, bits Constant) VecVirtual {
	kept := m.Vector()
	if m.neon() {
		ARM("cmtst", kept, v, m.Fixed(bits))
		ARM("and", kept, kept, v)
		return kept
	}
	if m.Wide() {
		keep := K()
		VPTESTMD_BCST(bits.Mem(), v, keep)
		VMOVAPS_Z(v, keep, kept)
		return kept
	}
	none := m.And(v, bits)
	VPCMPEQD(m.Zero(), none, none)
	VANDNPS(v, none, kept)
	return kept
}

// BySign returns the lanes of negative where the sign bit of x is set, and those of positive
// elsewhere.
func (m Machine) BySign(x, negative, positive VecVirtual) VecVirtual {
	v := m.Vector()
	switch {
	case m.neon():
		ARMShift("sshr", v, x, 31)
		ARM("bsl", v, negative, positive)
	case m.Wide():
		signs := K()
		VPMOVD2M(x, signs)
		VBLENDMPS(negative, positive, signs, v)
	default:
		VBLENDVPS(x, negative, positive, v)
	}
	return v
}

// Doubles returns the lower and the upper half of v as float64.
func (m Machine) Doubles(v VecVirtual) (lower, upper VecVirtual) {
	lower, upper = m.Vector(), m.Vector()
	VCVTPS2PD(m.half(v), lower)
	if m.Wide() {
		high := YMM()
		VEXTRACTF64X4(operand.Imm(1), v, high)
		VCVTPS2PD(high, upper)
	} else {
		high := XMM()
		VEXTRACTF128(operand.Imm(1), v, high)
		VCVTPS2PD(high, upper)
	}
	return lower, upper
}

// Floats is the inverse of Doubles. It rounds to nearest even.
func (m Machine) Floats(lower, upper VecVirtual) VecVirtual {
	return m.halved(lower, upper, VCVTPD2PSY, VCVTPD2PS)
}

// AccumulateDoubles adds the lanes of v, as float64, to two vectors of sums.
func (m Machine) AccumulateDoubles(sums [2]VecVirtual, v VecVirtual) {
	lower, upper := m.Doubles(v)
	VADDPD(lower, sums[0], sums[0])
	VADDPD(upper, sums[1], sums[1])
}

// SumDoubles returns the sum of all lanes of two vectors of float64.
func (m Machine) SumDoubles(sums [2]VecVirtual) VecVirtual {
	VADDPD(sums[1], sums[0], sums[0])
	total := m.fold(sums[0], VADDPD)
	high := XMM()
	VUNPCKHPD(total, total, high)
	VADDPD(high, total, total)
	return total
}

// Fold combines the 32-bit lanes of v into the first lane of the result.
func (m Machine) Fold(v VecVirtual, combine func(...operand.Op)) VecVirtual {
	first := m.fold(v, combine)
	for _, neighbours := range []uint64{0x4E, 0xB1} { // halves, then pairs
		other := XMM()
		VPERMILPS(operand.Imm(neighbours), first, other)
		combine(other, first, first)
	}
	return first
}

// fold combines the 128-bit parts of v into one.
func (m Machine) fold(v VecVirtual, combine instruction) VecVirtual {
	if m.Wide() {
		low, high := YMM(), YMM()
		VEXTRACTF64X4(operand.Imm(0), v, low)
		VEXTRACTF64X4(operand.Imm(1), v, high)
		combine(high, low, low)
		v = low
	}
	low, high := XMM(), XMM()
	VEXTRACTF128(operand.Imm(0), v, low)
	VEXTRACTF128(operand.Imm(1), v, high)
	combine(high, low, low)
	return low
}
