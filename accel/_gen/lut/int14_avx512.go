package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// int14TablesAVX512 makes the tables of a chunk of 16 activations: the lower bytes of the sums
// of four groups, then the upper bytes. Packing to words and then to bytes works within quarters
// of a vector, which puts entry e of group g at byte
//
//	16·(e>>2) + 4·g + e&3
//
// So codes have their bits at places 0, 1, 4 and 5 of an index.
func int14TablesAVX512() {
	twoBytes.tables("AVX512")
	tables := Load(Param("tables").Base(), GP64())
	q := Load(Param("q").Base(), GP64())
	chunks := Load(Param("q").Len(), GP64())
	SHRQ(Imm(4), chunks)

	low, high, byteMask := ZMM(), ZMM(), ZMM()
	VMOVDQU32(signs("signs01", 0, entries), low)
	VMOVDQU32(signs("signs23", 1, entries), high)
	broadcast16(0x00FF, byteMask)

	Label("chunk")
	words := [2]VecVirtual{ZMM(), ZMM()}
	for pair := range words {
		var sums [2]VecVirtual
		for i := range sums {
			at := Mem{Base: q, Disp: 8 * (2*pair + i)}
			sums[i] = ZMM()
			VPXORD(sums[i], sums[i], sums[i])
			VPDPWSSD_BCST(at, low, sums[i])
			VPDPWSSD_BCST(at.Offset(4), high, sums[i])
		}
		VPACKSSDW(sums[1], sums[0], words[pair])
	}
	lower, upper := [2]VecVirtual{ZMM(), ZMM()}, [2]VecVirtual{ZMM(), ZMM()}
	for i, w := range words {
		VPANDD(byteMask, w, lower[i])
		VPSRAW(Imm(8), w, upper[i])
	}
	VPACKUSWB(lower[1], lower[0], lower[0])
	VPACKSSWB(upper[1], upper[0], upper[0])
	VMOVDQU32(lower[0], Mem{Base: tables})
	VMOVDQU32(upper[0], Mem{Base: tables, Disp: 64})
	ADDQ(Imm(32), q)
	ADDQ(U32(128), tables)
	DECQ(chunks)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// int14SumsAVX512 sums blocks of 64 rows. For each plane, a chunk of 16 columns is two vectors
// of codes, with two indices in a byte. An index selects the partial sums of 16 rows × 4 groups.
// A dot product with ones adds their lower and upper bytes over the groups.
func int14SumsAVX512(planes int) {
	twoBytes.sums(planes, "AVX512")
	dst := Load(Param("dst").Base(), GP64())
	blocks := Load(Param("dst").Len(), GP64())
	codes := Load(Param("codes").Base(), GP64())
	tables := Load(Param("tables").Base(), GP64())
	chunks := Load(Param("chunks"), GP64())
	SHRQ(Imm(6), blocks)

	indexMask, groups, ones := ZMM(), ZMM(), ZMM()
	broadcast32(0x33333333, indexMask)
	broadcast32(0x0C080400, groups)
	broadcast32(0x01010101, ones)

	Label("block")
	var lower, upper [4]VecVirtual
	for i := range lower {
		lower[i], upper[i] = ZMM(), ZMM()
		VPXORD(lower[i], lower[i], lower[i])
		VPXORD(upper[i], upper[i], upper[i])
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	MOVQ(chunks, left)

	Label("chunk")
	lowerTable, upperTable := ZMM(), ZMM()
	VMOVDQU32(Mem{Base: table}, lowerTable)
	VMOVDQU32(Mem{Base: table, Disp: 64}, upperTable)
	for v := range 2 * planes {
		at := Mem{Base: codes, Disp: 64 * v}
		PREFETCHT0(at.Offset(codesAhead))
		for half := range 2 {
			index, low, high := ZMM(), ZMM(), ZMM()
			if half == 0 {
				VMOVDQU32(at, index)
			} else {
				VPSRLD(Imm(2), at, index)
			}
			const andOr = 0xEA // (index & indexMask) | groups
			VPTERNLOGD(U8(andOr), groups, indexMask, index)
			VPERMB(lowerTable, index, low)
			VPERMB(upperTable, index, high)
			sum := 2*(v%2) + half
			VPDPBUSD(ones, low, lower[sum])
			VPDPBUSD(high, ones, upper[sum])
		}
	}
	ADDQ(U32(uint32(128*planes)), codes)
	ADDQ(U32(128), table)
	DECQ(left)
	JNZ(LabelRef("chunk"))

	for i := range lower {
		VPSLLD(Imm(8), upper[i], upper[i])
		VPADDD(upper[i], lower[i], lower[i])
		VMOVDQU32(lower[i], Mem{Base: dst, Disp: 64 * i})
	}
	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// togetherInt14 is how many vectors int14TogetherAVX512 sums for.
const togetherInt14 = 4

// int14TogetherAVX512 adds the sums of several vectors to dst. An index is computed once for all
// of them. Half a block of rows is summed at a time, over some chunks of it; skip bytes of codes
// lie between these and those of the next block.
func int14TogetherAVX512(planes int) {
	TEXT(fmt.Sprintf("int14Together%dAVX512", planes), NOSPLIT,
		"func(dst *[4][]int32, codes []byte, tables *[4][]byte, first, chunks, skip, blocks int)")
	Pragma("noescape")
	codes := emit.Slice("codes")
	const slice = 24 // bytes
	all := emit.Pointer("tables")
	first := emit.Pointer("first")
	SHLQ(Imm(7), first)
	var tables [togetherInt14]Register
	for v := range tables {
		tables[v] = GP64()
		MOVQ(Mem{Base: all, Disp: slice * v}, tables[v])
		ADDQ(first, tables[v])
	}

	indexMask, groups, ones := ZMM(), ZMM(), ZMM()
	broadcast32(0x33333333, indexMask)
	broadcast32(0x0C080400, groups)
	broadcast32(0x01010101, ones)
	blocks, row := emit.Pointer("blocks"), GP64()
	XORQ(row, row)

	var lower, upper [togetherInt14][2]VecVirtual
	for v := range tables {
		for half := range 2 {
			lower[v][half], upper[v][half] = ZMM(), ZMM()
		}
	}

	Label("block")
	start, at, left := GP64(), GP64(), GP64()
	MOVQ(codes, start)
	for rows := range 2 {
		chunk := emit.Unique("chunk")
		for v := range tables {
			for half := range 2 {
				VPXORD(lower[v][half], lower[v][half], lower[v][half])
				VPXORD(upper[v][half], upper[v][half], upper[v][half])
			}
		}
		MOVQ(start, codes)
		XORQ(at, at)
		Load(Param("chunks"), left)
		Label(chunk)
		var indices [2][2]VecVirtual
		for plane := range planes {
			from := Mem{Base: codes, Disp: 64 * (2*plane + rows)}
			PREFETCHT0(from.Offset(codesAhead))
			for half := range 2 {
				index := ZMM()
				if half == 0 {
					VMOVDQU32(from, index)
				} else {
					VPSRLD(Imm(2), from, index)
				}
				VPTERNLOGD(U8(0xEA), groups, indexMask, index) // (index & indexMask) | groups
				indices[plane][half] = index
			}
		}
		for v, table := range tables {
			lowerTable, upperTable := ZMM(), ZMM()
			VMOVDQU32(Mem{Base: table, Index: at, Scale: 1}, lowerTable)
			VMOVDQU32(Mem{Base: table, Index: at, Scale: 1, Disp: 64}, upperTable)
			for plane := range planes {
				for half, index := range indices[plane] {
					low, high := ZMM(), ZMM()
					VPERMB(lowerTable, index, low)
					VPERMB(upperTable, index, high)
					VPDPBUSD(ones, low, lower[v][half])
					VPDPBUSD(high, ones, upper[v][half])
				}
			}
		}
		ADDQ(U32(uint32(128*planes)), codes)
		ADDQ(U32(128), at)
		DECQ(left)
		JNZ(LabelRef(chunk))

		to := GP64()
		for v := range tables {
			Load(Param("dst"), to)
			MOVQ(Mem{Base: to, Disp: slice * v}, to)
			for half := range 2 {
				place := Mem{Base: to, Index: row, Scale: 1, Disp: 128*rows + 64*half}
				VPSLLD(Imm(8), upper[v][half], upper[v][half])
				VPADDD(upper[v][half], lower[v][half], lower[v][half])
				VPADDD(place, lower[v][half], lower[v][half])
				VMOVDQU32(lower[v][half], place)
			}
		}
	}
	ADDQ(emit.Argument("skip"), codes)
	ADDQ(U32(256), row)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
