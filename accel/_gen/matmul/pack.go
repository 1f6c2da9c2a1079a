package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// copyRows writes a copy of n rows, whose columns are a multiple of eight. Rows are short, so it
// is faster than Go's copy.
func copyRows() {
	TEXT("copyRowsAVX2", NOSPLIT, "func(dst []float32, dstStride int, src []float32, srcStride, eights, n int)")
	Pragma("noescape")
	dst, dstStride := emit.Slice("dst"), emit.Pointer("dstStride")
	src, srcStride := emit.Slice("src"), emit.Pointer("srcStride")
	SHLQ(Imm(2), dstStride)
	SHLQ(Imm(2), srcStride)
	eights, n := emit.Pointer("eights"), emit.Pointer("n")
	SHLQ(Imm(5), eights)

	Label("row")
	at := GP64()
	XORQ(at, at)
	Label("eight")
	v := YMM()
	VMOVUPS(Mem{Base: src, Index: at, Scale: 1}, v)
	VMOVUPS(v, Mem{Base: dst, Index: at, Scale: 1})
	ADDQ(Imm(32), at)
	CMPQ(at, eights)
	JB(LabelRef("eight"))
	ADDQ(srcStride, src)
	ADDQ(dstStride, dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// transpose writes the transpose of 8 rows, 8 columns at a time.
func transpose() {
	TEXT("transpose8AVX2", NOSPLIT, "func(dst []float32, dstStride int, src []float32, srcStride, n int)")
	Pragma("noescape")
	src := rowsOf(emit.Slice("src"), emit.Pointer("srcStride"), 8)
	dst := rowsOf(emit.Slice("dst"), emit.Pointer("dstStride"), 8)
	n := emit.Pointer("n")
	far := GP64()
	MOVQ(dst.stride, far)
	SHLQ(Imm(3), far)
	bytes := GP64()
	MOVQ(U32(32), bytes)

	Label("block")
	for half := range 2 {
		// The lower half of a register has four elements of one row, the upper half those of the
		// row four below. So the rest of the transpose stays within halves.
		var in [4]VecVirtual
		for i := range in {
			in[i] = YMM()
			VMOVUPS(src.row(i, 16*half), in[i].AsX())
			VINSERTF128(Imm(1), src.row(i+4, 16*half), in[i], in[i])
		}
		for j, column := range emit.Transpose4x4(in) {
			VMOVUPS(column, dst.row(4*half+j, 0))
		}
	}
	src.advance(bytes)
	dst.advance(far)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
