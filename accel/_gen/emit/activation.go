package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential has the coefficients of r², r³, … r⁶ of
//
//	exp(r) ≈ 1 + r + r²·Q(r)   for |r| ≤ ln(2)/2,
//
// Of all such polynomials, this one has the smallest maximum of the relative error in exp(r)−1
// (found by Lawson's iteration on 20001 points). Rounded to float32, as here, that error is
// 1.7e-8.
var exponential = []float64{0.49999997, 0.16666543, 0.0416672, 0.0083665205, 0.0013882517}

// ln 2 is the sum of these two float32, so that subtracting n·ln 2 is almost exact (Cody and
// Waite).
var (
	ln2High = float64(float32(math.Ln2))
	ln2Low  = math.Ln2 - ln2High
)

// reduce returns n and the quotient Q(r) above such that x = n·ln 2 + r, where n is whole and
// |r| ≤ ln(2)/2. It replaces x by r.
func (m Machine) reduce(x VecVirtual) (n, quotient VecVirtual) {
	n = m.Round(m.Mul(x, Float(math.Log2E)))
	m.SubProduct(x, n, Float(ln2High))
	m.SubProduct(x, n, Float(ln2Low))
	last := len(exponential) - 1
	quotient = m.Constant(Float(exponential[last]))
	for k := last - 1; k >= 0; k-- {
		quotient = m.MulAdd(quotient, x, Float(exponential[k]))
	}
	return n, quotient
}

// Above expHighest, exp is +Inf in float32. At expLowest it is near the smallest normal number:
// for smaller results VSCALEFPS takes an Intel processor about a hundred cycles.
const (
	expLowest  = -87
	expHighest = 89
)

// Exp returns exp(x), or 0 if that is below flush.Least.
func (m Machine) Exp(x VecVirtual) VecVirtual {
	return m.Flush(m.expBelow(m.Min(m.Constant(Float(expHighest)), x)))
}

// expBelow returns exp(max(x, expLowest)) for x ≤ expHighest or NaN.
func (m Machine) expBelow(x VecVirtual) VecVirtual {
	r := m.Max(m.Constant(Float(expLowest)), x)
	n, e := m.reduce(r)
	e = m.MulAdd(m.MulAdd(e, r, Float(1)), r, Float(1))
	return m.timesPowerOfTwo(e, n)
}

// timesPowerOfTwo returns v·2ⁿ, rounded once, for −126 ≤ n ≤ 128.
func (m Machine) timesPowerOfTwo(v, n VecVirtual) VecVirtual {
	if m.Wide() {
		scaled := m.Vector()
		VSCALEFPS(n, v, scaled)
		return scaled
	}
	// 2ⁿ is split into two powers of about n/2, so that both are normal numbers and the first
	// product is exact.
	whole, half, rest := m.Vector(), m.Vector(), m.Vector()
	if m.neon() {
		ARM("fcvtns", whole, n)
		ARMShift("sshr", half, whole, 1)
		ARM("sub", rest, whole, half)
	} else {
		VCVTPS2DQ(n, whole)
		VPSRAD(operand.Imm(1), whole, half)
		VPSUBD(half, whole, rest)
	}
	return m.Mul(m.Mul(v, m.powerOfTwo(half)), m.powerOfTwo(rest))
}

// powerOfTwo returns 2ⁿ for int32 lanes −126 ≤ n ≤ 127.
func (m Machine) powerOfTwo(n VecVirtual) VecVirtual {
	const bias, fraction = 127, 23 // of float32
	v := m.Vector()
	if m.neon() {
		ARM("add", v, n, constantARM(Bits(bias)))
		ARMShift("shl", v, v, fraction)
		return v
	}
	m.with(VPADDD, VPADDD_BCST, Bits(bias), n, v)
	VPSLLD(operand.Imm(fraction), v, v)
	return v
}

const signBit = 1 << 31

// Sigmoid returns 1/(1+exp(−x)), or 0 if that is below flush.Least.
func (m Machine) Sigmoid(x VecVirtual) VecVirtual {
	// With e = exp(−|x|) ≤ 1 the result is 1/(1+e) or e/(1+e). So nothing overflows, and small
	// results keep their precision.
	e := m.Flush(m.expBelow(m.Or(x, Bits(signBit))))
	numerator := m.BySign(x, e, m.Constant(Float(1)))
	return m.Div(numerator, m.Add(e, Float(1)))
}

// tanhHighest is where tanh becomes 1 in float32: 1−tanh(10) = 4e-9.
const tanhHighest = 10

// Tanh returns tanh(x).
func (m Machine) Tanh(x VecVirtual) VecVirtual {
	// tanh|x| = d/(d+2) with d = exp(2|x|)−1 = 2ⁿ·(exp(r)−1) + (2ⁿ−1). Near 0, n is 0 and d has
	// the precision of r.
	magnitude := m.And(x, Bits(signBit-1))
	r := m.Min(m.Constant(Float(2*tanhHighest)), m.Add(magnitude, magnitude))
	n, d := m.reduce(r)
	d = m.MulAdd(d, m.Mul(r, r), r)
	power := m.timesPowerOfTwo(m.Constant(Float(1)), n)
	d = m.MulAdd(d, power, m.Sub(power, Float(1)))
	t := m.Div(d, m.Add(d, Float(2)))
	return m.Or(t, m.And(x, Bits(signBit)))
}
