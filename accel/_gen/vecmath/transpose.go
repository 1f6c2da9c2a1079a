package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose writes the transposition of a square of 8 × 8; the strides are in bytes.
func transpose() {
	TEXT("transpose8x8", NOSPLIT, "func(dst *float32, dstStride int, src *float32, srcStride int)")
	Pragma("noescape")
	src, srcStride := Load(Param("src"), GP64()), Load(Param("srcStride"), GP64())

	// Lanes 0–3 of register i are the left half of row i, lanes 4–7 that of row
	// i+4; the same for the right half: what follows then stays within lanes.
	below := GP64()
	LEAQ(operand.Mem{Base: src, Index: srcStride, Scale: 4}, below)
	var left, right [4]VecVirtual
	for i := range 4 {
		left[i], right[i] = YMM(), YMM()
		VMOVUPS(operand.Mem{Base: src}, left[i].AsX())
		VINSERTF128(operand.Imm(1), operand.Mem{Base: below}, left[i], left[i])
		VMOVUPS(operand.Mem{Base: src, Disp: 16}, right[i].AsX())
		VINSERTF128(operand.Imm(1), operand.Mem{Base: below, Disp: 16}, right[i], right[i])
		ADDQ(srcStride, src)
		ADDQ(srcStride, below)
	}
	dst, dstStride := Load(Param("dst"), GP64()), Load(Param("dstStride"), GP64())
	for _, half := range [][4]VecVirtual{left, right} {
		for _, column := range transpose4x4(half) {
			VMOVUPS(column, operand.Mem{Base: dst})
			ADDQ(dstStride, dst)
		}
	}
	VZEROUPPER()
	RET()
}

// transpose4x4 transposes the 4 × 4 lanes of both halves of four registers.
func transpose4x4(rows [4]VecVirtual) (columns [4]VecVirtual) {
	var pairs [4]VecVirtual
	for i := range 4 {
		pairs[i] = YMM()
	}
	VUNPCKLPS(rows[1], rows[0], pairs[0])
	VUNPCKHPS(rows[1], rows[0], pairs[1])
	VUNPCKLPS(rows[3], rows[2], pairs[2])
	VUNPCKHPS(rows[3], rows[2], pairs[3])
	for i := range 4 {
		columns[i] = YMM()
		const lowHalves, highHalves = 0x44, 0xEE
		VSHUFPS(operand.Imm([2]uint64{lowHalves, highHalves}[i%2]), pairs[2+i/2], pairs[i/2], columns[i])
	}
	return columns
}
