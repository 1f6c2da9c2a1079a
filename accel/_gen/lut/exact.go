package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// negative is a constant of float32 sign bits: set where entry e of a table
// takes activation j of its group with a minus, bit j of e clear.
func negative(j int) Mem {
	at := GLOBL(fmt.Sprintf("negative%d", j), RODATA|NOPTR)
	for e := range 16 {
		sign := uint32(0x80000000)
		if e>>j&1 != 0 {
			sign = 0
		}
		DATA(4*e, U32(sign))
	}
	return at
}

// negatives are the constants for the four activations of a group.
var negatives [4]Mem

// exactTablesAVX512 makes one table of 16 float32 sums for each group of 4
// activations.
func exactTablesAVX512() {
	for j := range negatives {
		negatives[j] = negative(j)
	}
	TEXT("exactTablesAVX512", NOSPLIT, "func(tables []byte, x []float32)")
	Pragma("noescape")
	tables := Load(Param("tables").Base(), GP64())
	x := Load(Param("x").Base(), GP64())
	groups := Load(Param("x").Len(), GP64())
	SHRQ(Imm(2), groups)
	var flips [4]VecVirtual
	for j := range flips {
		flips[j] = ZMM()
		VMOVDQU32(negatives[j], flips[j])
	}

	Label("group")
	var terms [4]VecVirtual
	for j := range terms {
		terms[j] = ZMM()
		VPXORD_BCST(Mem{Base: x, Disp: 4 * j}, flips[j], terms[j])
	}
	VADDPS(terms[1], terms[0], terms[0])
	VADDPS(terms[3], terms[2], terms[2])
	VADDPS(terms[2], terms[0], terms[0])
	VMOVUPS(terms[0], Mem{Base: tables})
	ADDQ(Imm(16), x)
	ADDQ(Imm(64), tables)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// exactTablesAVX2 makes the same tables in two halves.
func exactTablesAVX2() {
	TEXT("exactTablesAVX2", NOSPLIT, "func(tables []byte, x []float32)")
	Pragma("noescape")
	tables := Load(Param("tables").Base(), GP64())
	x := Load(Param("x").Base(), GP64())
	groups := Load(Param("x").Len(), GP64())
	SHRQ(Imm(2), groups)

	Label("group")
	var activations [4]VecVirtual
	for j := range activations {
		activations[j] = YMM()
		VBROADCASTSS(Mem{Base: x, Disp: 4 * j}, activations[j])
	}
	for half := range 2 {
		var terms [4]VecVirtual
		for j := range terms {
			terms[j] = YMM()
			VXORPS(negatives[j].Offset(32*half), activations[j], terms[j])
		}
		VADDPS(terms[1], terms[0], terms[0])
		VADDPS(terms[3], terms[2], terms[2])
		VADDPS(terms[2], terms[0], terms[0])
		VMOVUPS(terms[0], Mem{Base: tables, Disp: 32 * half})
	}
	ADDQ(Imm(16), x)
	ADDQ(Imm(64), tables)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// exactSumsAVX512 sums blocks of 64 rows. A chunk of 32 columns is four vectors
// of codes a plane, one row a lane: nibble n of a lane is the index into the
// table of group n.
func exactSumsAVX512(planes int) {
	TEXT(fmt.Sprintf("exactSums%dAVX512", planes), NOSPLIT, "func(dst []float32, codes, tables []byte, chunks int)")
	Pragma("noescape")
	dst := Load(Param("dst").Base(), GP64())
	blocks := Load(Param("dst").Len(), GP64())
	codes := Load(Param("codes").Base(), GP64())
	tables := Load(Param("tables").Base(), GP64())
	chunks := Load(Param("chunks"), GP64())
	SHRQ(Imm(6), blocks)

	Label("block")
	var sums [4]VecVirtual
	for i := range sums {
		sums[i] = ZMM()
		VPXORD(sums[i], sums[i], sums[i])
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	MOVQ(chunks, left)

	Label("chunk")
	for n := range 8 {
		t := ZMM()
		VMOVUPS(Mem{Base: table, Disp: 64 * n}, t)
		for v := range 4 * planes {
			index, partial := ZMM(), ZMM()
			at := Mem{Base: codes, Disp: 64 * v}
			if n == 0 {
				VMOVDQU32(at, index)
			} else {
				VPSRLD(Imm(uint64(4*n)), at, index)
			}
			VPERMPS(t, index, partial)
			VADDPS(partial, sums[v%4], sums[v%4])
		}
	}
	ADDQ(U32(uint32(256*planes)), codes)
	ADDQ(U32(512), table)
	DECQ(left)
	JNZ(LabelRef("chunk"))

	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: dst, Disp: 64 * i})
	}
	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// exactSumsAVX2 does the same by halves of a vector. A permutation reads eight
// entries, so both halves of a table are read and bit 3 of the index chooses.
func exactSumsAVX2(planes int) {
	TEXT(fmt.Sprintf("exactSums%dAVX2", planes), NOSPLIT, "func(dst []float32, codes, tables []byte, chunks int)")
	Pragma("noescape")
	dst := Load(Param("dst").Base(), GP64())
	blocks := Load(Param("dst").Len(), GP64())
	codes := Load(Param("codes").Base(), GP64())
	tables := Load(Param("tables").Base(), GP64())
	chunks := Load(Param("chunks"), GP64())
	SHRQ(Imm(6), blocks)

	Label("block")
	var sums [8]VecVirtual
	for i := range sums {
		sums[i] = YMM()
		VXORPS(sums[i], sums[i], sums[i])
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	MOVQ(chunks, left)

	Label("chunk")
	for n := range 8 {
		lower, upper := YMM(), YMM()
		VMOVUPS(Mem{Base: table, Disp: 64 * n}, lower)
		VMOVUPS(Mem{Base: table, Disp: 64*n + 32}, upper)
		for v := range 8 * planes {
			code, index, choice, partial := YMM(), YMM(), YMM(), YMM()
			VMOVDQU(Mem{Base: codes, Disp: 32 * v}, code)
			VPSRLD(Imm(uint64(4*n)), code, index)
			VPSLLD(Imm(uint64(28-4*n)), code, choice)
			VPERMPS(lower, index, partial)
			VPERMPS(upper, index, index)
			VBLENDVPS(choice, index, partial, partial)
			VADDPS(partial, sums[v%8], sums[v%8])
		}
	}
	ADDQ(U32(uint32(256*planes)), codes)
	ADDQ(U32(512), table)
	DECQ(left)
	JNZ(LabelRef("chunk"))

	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
