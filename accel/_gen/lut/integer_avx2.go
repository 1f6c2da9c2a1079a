package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// integerTablesAVX2 makes a table for each group of 4 activations. With entries of one byte it
// has the 16 entries plus 128, which makes them unsigned. With two bytes it has the lower bytes,
// and then the upper bytes plus 128.
func integerTablesAVX2(size entrySize) {
	size.tables("AVX2")
	tables := Load(Param("tables").Base(), GP64())
	q := Load(Param("q").Base(), GP64())
	groups := Load(Param("q").Len(), GP64())
	SHRQ(Imm(2), groups)

	// Packing 32 bits into 16 works within halves of a vector. With these orders the sums come
	// out in the order of the entries.
	orders := [2][]int{{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}}
	var low, high [2]VecVirtual
	for i, order := range orders {
		low[i], high[i] = YMM(), YMM()
		VMOVDQU(signs(fmt.Sprintf("halfSigns%d01", i), 0, order), low[i])
		VMOVDQU(signs(fmt.Sprintf("halfSigns%d23", i), 1, order), high[i])
	}
	byteMask, bias, multiplier := YMM(), YMM(), YMM()
	if size == oneByte {
		VPBROADCASTW(emit.Argument("multiplier"), multiplier)
		broadcast16(0x8080, bias)
	} else {
		broadcast16(0x00FF, byteMask)
		broadcast16(0x8000, bias)
	}

	Label("group")
	first, second := YMM(), YMM()
	VPBROADCASTD(Mem{Base: q}, first)
	VPBROADCASTD(Mem{Base: q, Disp: 4}, second)
	var sums [2]VecVirtual
	for i := range sums {
		sums[i] = YMM()
		other := YMM()
		VPMADDWD(first, low[i], sums[i])
		VPMADDWD(second, high[i], other)
		VPADDD(other, sums[i], sums[i])
	}
	words, bytes := YMM(), YMM()
	VPACKSSDW(sums[1], sums[0], words)
	if size == oneByte {
		VPMULHRSW(multiplier, words, words)
		VPACKSSWB(words, words, bytes)
		VPXOR(bias, bytes, bytes)
	} else {
		VPAND(byteMask, words, bytes)
		VPXOR(bias, words, words)
		VPSRLW(Imm(8), words, words)
		VPACKUSWB(words, bytes, bytes)
	}
	VPERMQ(Imm(0b11_01_10_00), bytes, bytes)
	if size == oneByte {
		VMOVDQU(bytes.AsX(), Mem{Base: tables})
	} else {
		VMOVDQU(bytes, Mem{Base: tables})
	}
	ADDQ(Imm(8), q)
	ADDQ(Imm(uint64(16*size)), tables)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// int8LargestAVX2 returns the largest Σ|q| of a group of 4 activations. The length is a multiple
// of 8.
func int8LargestAVX2() {
	TEXT("int8LargestAVX2", NOSPLIT, "func(q []int16) int32")
	Pragma("noescape")
	q, count := emit.Slice("q"), emit.Length("q")
	most := YMM()
	VPXOR(most, most, most)
	Label("next")
	sums := YMM()
	VPMOVSXWD(Mem{Base: q}, sums)
	VPABSD(sums, sums)
	for _, neighbours := range []uint64{0xB1, 0x4E} { // pairs, then halves of a group
		others := YMM()
		VPSHUFD(Imm(neighbours), sums, others)
		VPADDD(others, sums, sums)
	}
	VPMAXSD(sums, most, most)
	ADDQ(Imm(16), q)
	SUBQ(Imm(8), count)
	JNZ(LabelRef("next"))
	result := GP32()
	VMOVD(emit.Machines[0].Fold(most, VPMAXSD), result)
	Store(result, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// groupsPerSegment is how many groups are added before a word is emptied. An unsigned word holds
// the sum of 257 bytes of 255.
const groupsPerSegment = 256

// integerSumsAVX2 sums blocks of 64 rows. For each plane, a chunk of 8 columns (two groups) is
// two vectors of codes with a row in each byte. The lower half of the byte is the index of the
// first group, the upper half that of the second.
//
// Bytes are added as words of two rows, even and odd. One sum is of whole words modulo 2¹⁶, the
// other of their upper bytes, which are the odd rows. Subtracting the second from the first
// gives the even rows. After each segment the words are added to dst.
func integerSumsAVX2(size entrySize, planes int) {
	size.sums(planes, "AVX2")
	dst := Load(Param("dst").Base(), GP64())
	blocks := Load(Param("dst").Len(), GP64())
	codes := Load(Param("codes").Base(), GP64())
	tables := Load(Param("tables").Base(), GP64())
	SHRQ(Imm(6), blocks)

	nibble := YMM()
	broadcast32(0x0F0F0F0F, nibble)

	// The sums begin with the bias of the upper bytes subtracted, which is 128 or 128·256 for
	// each group.
	start, startX := GP64(), XMM()
	Load(Param("chunks"), start)
	IMUL3Q(I32(-128<<(8*(size-1))*2*entrySize(planes)), start, start)

	Label("block")
	{
		bias := YMM()
		VMOVQ(start, startX)
		VPBROADCASTD(startX, bias)
		for i := range 8 {
			VMOVDQU(bias, Mem{Base: dst, Disp: 32 * i})
		}
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	Load(Param("chunks"), left)

	Label("segment")
	var whole, odd [2][2]VecVirtual // by half of the block, and by byte of an entry
	for v := range whole {
		for b := range int(size) {
			whole[v][b], odd[v][b] = YMM(), YMM()
			VPXOR(whole[v][b], whole[v][b], whole[v][b])
			VPXOR(odd[v][b], odd[v][b], odd[v][b])
		}
	}
	part, longest := GP64(), GP64()
	MOVQ(left, part)
	MOVQ(U32(groupsPerSegment/2/uint32(planes)), longest)
	CMPQ(part, longest)
	CMOVQGT(longest, part)
	SUBQ(part, left)

	Label("chunk")
	for group := range 2 {
		tableBytes := []VecVirtual{YMM(), YMM()}[:size]
		for b, bytes := range tableBytes {
			VBROADCASTI128(Mem{Base: table, Disp: 16 * (int(size)*group + b)}, bytes)
		}
		for v := range 2 * planes {
			at := Mem{Base: codes, Disp: 32 * v}
			index := YMM()
			if group == 0 {
				VPAND(at, nibble, index)
			} else {
				VMOVDQU(at, index)
				VPSRLW(Imm(4), index, index)
				VPAND(nibble, index, index)
			}
			for b, t := range tableBytes {
				words := YMM()
				VPSHUFB(index, t, words)
				VPADDW(words, whole[v%2][b], whole[v%2][b])
				VPSRLW(Imm(8), words, words)
				VPADDW(words, odd[v%2][b], odd[v%2][b])
			}
		}
	}
	ADDQ(U32(uint32(64*planes)), codes)
	ADDQ(Imm(uint64(32*size)), table)
	DECQ(part)
	JNZ(LabelRef("chunk"))

	for v := range whole {
		for b := range int(size) {
			even := YMM()
			VPSLLW(Imm(8), odd[v][b], even)
			VPSUBW(even, whole[v][b], even)
			for parity, words := range []VecVirtual{even, odd[v][b]} {
				for half := range 2 {
					eight, wide := XMM(), YMM()
					VEXTRACTI128(Imm(uint64(half)), words, eight)
					VPMOVZXWD(eight, wide)
					if b == 1 {
						VPSLLD(Imm(8), wide, wide)
					}
					at := Mem{Base: dst, Disp: 128*v + 64*parity + 32*half}
					VPADDD(at, wide, wide)
					VMOVDQU(wide, at)
				}
			}
		}
	}
	TESTQ(left, left)
	JNZ(LabelRef("segment"))

	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
