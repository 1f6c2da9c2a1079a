package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// exponentials writes math.Exp(x[i] − shift), in float64, for whole vectors of differences from
// lowestExponent to 0. It returns false if there are others. Each operation and constant is that
// of Go's math.Exp on amd64 with FMA, so that the bits are the same.
func exponentials(m emit.Machine) {
	m.Function("exponentials", "func(dst []float64, x []float32, shift float64) bool")
	dst, x, count := emit.Slice("dst"), emit.Slice("x"), emit.Length("x")
	number := func(v float64) VecVirtual {
		spread := m.Vector()
		VBROADCASTSD(emit.Word(math.Float64bits(v)).Mem(), spread)
		return spread
	}
	shift, valid := m.Vector(), m.Vector()
	VBROADCASTSD(emit.Argument("shift"), shift)
	VPCMPEQD(valid.AsY(), valid.AsY(), valid.AsY())
	// The sums and multiply-adds read constants from memory: AVX2 has too few registers.
	with := func(narrow, wide func(...operand.Op), c float64, v, result VecVirtual) {
		if m.Wide() {
			wide(emit.Word(math.Float64bits(c)).Mem(), v, result)
		} else {
			narrow(emit.Word(math.Float64bits(c)).Mem(), v, result)
		}
	}
	m.Vectors(count, func(index GPVirtual) {
		for half := range 2 {
			v := m.Vector()
			VCVTPS2PD(emit.At(x, index).Offset(half*m.Bytes()/2), v)
			VSUBPD(shift, v, v)
			inRange(m, v, number(lowestExponent), valid)

			const (
				log2e      = 1.4426950408889634073599246810018920
				upperOfLn2 = 0.69314718055966295651160180568695068359375
				lowerOfLn2 = 0.28235290563031577122588448175013436025525412068e-12
			)
			power, whole := m.Vector(), m.Vector()
			with(VMULPD, VMULPD_BCST, log2e, v, power)
			small := XMM().(VecVirtual)
			if m.Wide() {
				small = YMM()
				VCVTPD2DQ(power, small)
			} else {
				VCVTPD2DQY(power, small)
			}
			VCVTDQ2PD(small, whole)
			with(VFNMADD231PD, VFNMADD231PD_BCST, upperOfLn2, whole, v)
			with(VFNMADD231PD, VFNMADD231PD_BCST, lowerOfLn2, whole, v)
			with(VMULPD, VMULPD_BCST, 0.0625, v, v)
			series := number(2.4801587301587301587e-5)
			for _, c := range []float64{
				1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3,
				4.1666666666666666667e-2, 1.6666666666666666667e-1, 0.5, 1,
			} {
				with(VFMADD213PD, VFMADD213PD_BCST, c, v, series)
			}
			VMULPD(series, v, v)
			sum := m.Vector()
			for range 3 {
				with(VADDPD, VADDPD_BCST, 2, v, sum)
				VMULPD(sum, v, v)
			}
			with(VADDPD, VADDPD_BCST, 2, v, sum)
			with(VFMADD213PD, VFMADD213PD_BCST, 1, sum, v)

			const bias, mantissa = 0x3FF, 52
			VPMOVSXDQ(small, whole)
			biases := m.Vector()
			VPBROADCASTQ(emit.Word(bias).Mem(), biases)
			VPADDQ(biases, whole, whole)
			VPSLLQ(operand.Imm(mantissa), whole, whole)
			VMULPD(whole, v, v)
			VMOVUPD(v, operand.Mem{Base: dst, Index: index, Scale: 8}.Offset(half*m.Bytes()))
		}
	})
	lanes, all := GP32(), GP32()
	VMOVMSKPD(valid.AsY(), lanes)
	XORL(all, all)
	CMPL(lanes, operand.Imm(0xF))
	SETEQ(all.As8())
	Store(all.As8(), ReturnIndex(0))
	m.Return()
}

// lowestExponent is above the powers that are no normal numbers.
const lowestExponent = -700

// inRange clears lanes of valid unless v is from lowest on and not NaN.
func inRange(m emit.Machine, v, lowest, valid VecVirtual) {
	const notLess = 0x1D // greater or equal, false for NaN
	if !m.Wide() {
		mask := m.Vector()
		VCMPPD(operand.Imm(notLess), lowest, v, mask)
		VANDPD(mask, valid, valid)
		return
	}
	mask, lanes := K(), m.Vector()
	VCMPPD(operand.Imm(notLess), lowest, v, mask)
	VPMOVM2Q(mask, lanes)
	upper := YMM()
	VEXTRACTI64X4(operand.Imm(1), lanes, upper)
	VPAND(upper, valid.AsY(), valid.AsY())
	VPAND(lanes.AsY(), valid.AsY(), valid.AsY())
}
