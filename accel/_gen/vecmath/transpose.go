package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// transpose writes the function that transposes a square of 8 × 8. Strides are in bytes.
func transpose() {
	TEXT("transpose8x8", NOSPLIT, "func(dst *float32, dstStride int, src *float32, srcStride int)")
	Pragma("noescape")
	src, srcStride := Load(Param("src"), GP64()), Load(Param("srcStride"), GP64())

	// Lanes 0–3 of register i are the left half of row i, and lanes 4–7 that of row i+4. The
	// right halves are loaded alike. Everything that follows then stays within halves of
	// registers.
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
		for _, column := range emit.Transpose4x4(half) {
			VMOVUPS(column, operand.Mem{Base: dst})
			ADDQ(dstStride, dst)
		}
	}
	VZEROUPPER()
	RET()
}
