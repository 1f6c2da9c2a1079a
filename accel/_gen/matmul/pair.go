package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

var wide = emit.Machine{Suffix: "BF16", Lanes: 16}

// pairAlong writes the rounding of neighbours along a row into pairs, 32 numbers at a time. Each is
// multiplied by factor, and by its own of scale where there is one.
func pairAlong() {
	wide.Function("pairAlong", "func(dst, src, scale []float32, factor float32, n int)")
	dst, src, scale, n := emit.Slice("dst"), emit.Slice("src"), emit.Slice("scale"), emit.Pointer("n")
	factor := wide.Spread(emit.Argument("factor"))
	at := GP64()
	XORQ(at, at)
	loop := func(label string, product func(from int) VecVirtual) {
		Label(label)
		low, high := product(0), product(64)
		VMOVUPS(emit.RoundBFloat16(low, high), Mem{Base: dst})
		ADDQ(Imm(128), at)
		ADDQ(Imm(64), dst)
		SUBQ(Imm(32), n)
		JNZ(LabelRef(label))
		wide.Return()
	}
	number := func(from int) VecVirtual {
		v := ZMM()
		VMULPS(Mem{Base: src, Index: at, Scale: 1, Disp: from}, factor, v)
		return v
	}
	TESTQ(scale, scale)
	JNZ(LabelRef("scaled"))
	loop("plain", number)
	loop("scaled", func(from int) VecVirtual {
		v := number(from)
		VMULPS(Mem{Base: scale, Index: at, Scale: 1, Disp: from}, v, v)
		return v
	})
}

// pairAcross writes the rounding of two rows into pairs, one of each, 16 at a time. Each row is
// multiplied by a factor. What stands ahead floats after them is fetched.
func pairAcross() {
	wide.Function("pairAcross", "func(dst []float32, dstStride int, low, high []float32, lowFactor, highFactor float32, ahead, n int)")
	dst, low, high, n := emit.Slice("dst"), emit.Slice("low"), emit.Slice("high"), emit.Pointer("n")
	lowAhead, highAhead := ahead(low), ahead(high)
	lowFactor, highFactor := wide.Spread(emit.Argument("lowFactor")), wide.Spread(emit.Argument("highFactor"))
	order := ZMM()
	VMOVDQU16(interleaved(), order)
	at := GP64()
	XORQ(at, at)
	Label("pairs")
	l, h, v := ZMM(), ZMM(), ZMM()
	VMULPS(emit.At(low, at), lowFactor, l)
	VMULPS(emit.At(high, at), highFactor, h)
	PREFETCHT0(emit.At(lowAhead, at))
	PREFETCHT0(emit.At(highAhead, at))
	VPERMW(emit.RoundBFloat16(l, h), order, v)
	VMOVUPS(v, emit.At(dst, at))
	ADDQ(Imm(16), at)
	CMPQ(at, n)
	JB(LabelRef("pairs"))
	wide.Return()
}

// ahead returns where that stands which is to be fetched while a row is read.
func ahead(row GPVirtual) GPVirtual {
	address := emit.Pointer("ahead")
	LEAQ(Mem{Base: row, Index: address, Scale: 4}, address)
	return address
}

// interleaved is the order 0, 16, 1, 17, … of words.
func interleaved() Mem {
	order := GLOBL("interleaved", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)|uint32(i+16)<<16))
	}
	return order
}
