package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// exactTablesAVX512 makes a table of 16 float32 sums for each group of 4 activations.
func exactTablesAVX512() {
	TEXT("exactTablesAVX512", NOSPLIT, "func(tables []byte, x []float32)")
	Pragma("noescape")
	tables := Load(Param("tables").Base(), GP64())
	x := Load(Param("x").Base(), GP64())
	groups := Load(Param("x").Len(), GP64())
	SHRQ(Imm(2), groups)
	var flips [4]VecVirtual
	for j := range flips {
		flips[j] = ZMM()
		VMOVDQU32(negative(j), flips[j])
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
			VXORPS(negative(j).Offset(32*half), activations[j], terms[j])
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

// exactSums sums blocks of 64 rows. For each plane, a chunk of 32 columns is 256 bytes of codes
// with a row in each lane. Bits 4·n to 4·n+3 of a lane are the index into the table of group n.
func exactSums(m emit.Machine, planes int) {
	m.Function(fmt.Sprintf("exactSums%d", planes), "func(dst []float32, codes, tables []byte, chunks int)")
	dst, blocks := emit.Slice("dst"), emit.Length("dst")
	codes, tables, chunks := emit.Slice("codes"), emit.Slice("tables"), emit.Pointer("chunks")
	SHRQ(Imm(6), blocks)

	Label("block")
	sums := make([]VecVirtual, 64/m.Lanes)
	for i := range sums {
		sums[i] = m.Zero()
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	MOVQ(chunks, left)

	Label("chunk")
	for n := range 8 {
		entries := partialSums(m, Mem{Base: table, Disp: 64 * n}, n)
		for v := range len(sums) * planes {
			sum := sums[v%len(sums)]
			VADDPS(entries(Mem{Base: codes, Disp: m.Bytes() * v}), sum, sum)
		}
	}
	ADDQ(U32(uint32(256*planes)), codes)
	ADDQ(U32(512), table)
	DECQ(left)
	JNZ(LabelRef("chunk"))

	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: dst, Disp: m.Bytes() * i})
	}
	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	m.Return()
}

// partialSums loads a table. The function that it returns selects an entry by bits 4·n to 4·n+3
// of each lane of codes.
func partialSums(m emit.Machine, table Mem, n int) func(codes Mem) VecVirtual {
	if m.Wide() {
		entries := m.Vector()
		VMOVUPS(table, entries)
		return func(codes Mem) VecVirtual {
			index, partial := m.Vector(), m.Vector()
			if n == 0 {
				VMOVDQU32(codes, index)
			} else {
				VPSRLD(Imm(uint64(4*n)), codes, index)
			}
			VPERMPS(entries, index, partial)
			return partial
		}
	}
	// A permutation reads eight entries. So both halves of the table are read, and bit 3 of the
	// index chooses.
	lower, upper := m.Vector(), m.Vector()
	VMOVUPS(table, lower)
	VMOVUPS(table.Offset(32), upper)
	return func(codes Mem) VecVirtual {
		code, index, choice, partial := m.Vector(), m.Vector(), m.Vector(), m.Vector()
		VMOVDQU(codes, code)
		VPSRLD(Imm(uint64(4*n)), code, index)
		VPSLLD(Imm(uint64(28-4*n)), code, choice)
		VPERMPS(lower, index, partial)
		VPERMPS(upper, index, index)
		VBLENDVPS(choice, index, partial, partial)
		return partial
	}
}
