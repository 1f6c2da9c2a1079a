package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// digits says what the 5 bits of a code stand for in int8 on AVX-512.
type digits struct {
	planes int
	group  int                      // how many activations
	factor func(code, j int) uint16 // by which code multiplies activation j of a group
}

// codeBits is the width of a code: VPERMI2B reads 128 entries, which are those of 4 groups.
const codeBits = 5

var (
	// One plane: the signs ±1 of 5 activations.
	fiveSigns = digits{planes: 1, group: 5, factor: func(code, j int) uint16 { return uint16(code>>j&1*2 - 1) }}

	// Two planes: the sums −2, 0 and 2 of two signs, for 3 activations, as digits to base 3.
	threeTrits = digits{planes: 2, group: 3, factor: func(code, j int) uint16 {
		if code >= 27 {
			return 0
		}
		return uint16((code/[]int{1, 3, 9}[j]%3 - 1) * 2)
	}}
)

// factors is a constant of the factors by which the codes multiply activation j.
func (d digits) factors(j int) Mem {
	var words []U16
	for code := range 1 << codeBits {
		words = append(words, U16(d.factor(code, j)))
	}
	return emit.Table(fmt.Sprintf("factors%d%d", d.planes, j), words)
}

// int8LargestAVX512 returns the largest magnitude of a partial sum. Groups are stored one after
// the other, so a mask that has the first lane of every group reads the first activation of
// every group.
func int8LargestAVX512(d digits) {
	TEXT(fmt.Sprintf("int8Largest%dAVX512", d.planes), NOSPLIT, "func(q []int16) int32")
	Pragma("noescape")
	q, count := emit.Slice("q"), emit.Length("q")
	const groups = 4
	heads := 0
	for g := range groups {
		heads |= 1 << (g * d.group)
	}
	bits, mask := GP32(), K()
	MOVL(U32(uint32(heads)), bits)
	KMOVD(bits, mask)
	most := ZMM()
	VPXORD(most, most, most)
	Label("next")
	sum := ZMM()
	for j := range d.group {
		v := ZMM()
		VMOVDQU16_Z(Mem{Base: q, Disp: 2 * j}, mask, v)
		if j == 0 {
			VPABSW(v, sum)
			continue
		}
		VPABSW(v, v)
		VPADDW(v, sum, sum)
	}
	VPMAXSW(sum, most, most)
	ADDQ(Imm(uint64(2*groups*d.group)), q)
	SUBQ(Imm(uint64(groups*d.group)), count)
	JNZ(LabelRef("next"))

	// Words are not negative, so of two words in 32 bits the larger can be taken.
	other, low := ZMM(), ZMM()
	VPSRLD(Imm(16), most, other)
	VPMAXSW(other, most, most)
	broadcast32(0x0000FFFF, low)
	VPANDD(low, most, most)
	result := GP32()
	VMOVD(wide.Fold(most, VPMAXSD), result)
	IMUL3L(Imm(uint64(d.planes)), result, result)
	Store(result, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// codesAhead is how far ahead codes are prefetched, in bytes: four chunks. Of the distances that
// were tried this was the fastest on Zen 5, whose own prefetchers are slower if codes are in the
// third-level cache.
const codesAhead = 4 * 5 * 64

// wide is the machine of functions that exist only for AVX-512.
var wide = emit.Machines[1]

// int8TablesAVX512 makes the tables of 8 groups. The entry of a code is at byte 32·group + code.
func int8TablesAVX512(d digits) {
	TEXT(fmt.Sprintf("int8Tables%dAVX512", d.planes), NOSPLIT, "func(tables []byte, q []int16, multiplier int16)")
	Pragma("noescape")
	tables, q, count := emit.Slice("tables"), emit.Slice("q"), emit.Length("q")
	multiplier := ZMM()
	VPBROADCASTW(emit.Argument("multiplier"), multiplier)
	factors := make([]VecVirtual, d.group)
	for j := range factors {
		factors[j] = ZMM()
		VMOVDQU16(d.factors(j), factors[j])
	}
	Label("group")
	sum := ZMM()
	for j, factor := range factors {
		v := ZMM()
		VPBROADCASTW(Mem{Base: q, Disp: 2 * j}, v)
		if j == 0 {
			VPMULLW(factor, v, sum)
			continue
		}
		VPMULLW(factor, v, v)
		VPADDW(v, sum, sum)
	}
	VPMULHRSW(multiplier, sum, sum)
	VPMOVSWB(sum, Mem{Base: tables})
	ADDQ(Imm(uint64(2*d.group)), q)
	ADDQ(Imm(1<<codeBits), tables)
	SUBQ(Imm(uint64(d.group)), count)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// int8SumsAVX512 sums blocks of 64 rows. A chunk is 8 groups of activations and five vectors of
// codes. These are eight vectors of 5-bit codes: three of them are stored in the upper bits of
// the five others. A code selects the partial sums of 16 rows × 4 groups, which a dot product
// with ones adds over the groups.
//
// A chunk has two tables, with separate sums for each. A table is two vectors. VPERMI2B reads both
// at once, which is three instructions of its own to Intel's processors and one to AMD's. So there
// is a second form for Intel: a VPERMB of the first vector, and one of the second for the last two
// groups of a row.
func int8SumsAVX512(twoPermutes bool) {
	name := "int8SumsAVX512"
	if twoPermutes {
		name = "int8SumsTwoPermutesAVX512"
	}
	TEXT(name, NOSPLIT, sumsSignature)
	Pragma("noescape")
	dst, blocks := emit.Slice("dst"), emit.Length("dst")
	codes, tables, chunks := emit.Slice("codes"), emit.Slice("tables"), emit.Pointer("chunks")
	SHRQ(Imm(6), blocks)

	lastGroups := K()
	if twoPermutes {
		bits := GP64()
		MOVQ(U64(0xCCCCCCCCCCCCCCCC), bits)
		KMOVQ(bits, lastGroups)
	}
	ones, groups := ZMM(), ZMM()
	broadcast32(0x01010101, ones)
	broadcast32(0x60402000, groups)
	masks := map[uint32]VecVirtual{}
	for _, bits := range []uint32{0x1F, 0x07, 0x18, 0x08, 0x10} {
		masks[bits] = ZMM()
		broadcast32(bits*0x01010101, masks[bits])
	}

	Label("block")
	var sums [8]VecVirtual
	for i := range sums {
		sums[i] = ZMM()
		VPXORD(sums[i], sums[i], sums[i])
	}
	table, left := GP64(), GP64()
	MOVQ(tables, table)
	MOVQ(chunks, left)

	Label("chunk")
	var entries [2][2]VecVirtual
	for t := range entries {
		for half := range entries[t] {
			entries[t][half] = ZMM()
			VMOVDQU32(Mem{Base: table, Disp: 128*t + 64*half}, entries[t][half])
		}
	}
	lookUp := func(i int, index VecVirtual) {
		sum := index
		if twoPermutes {
			sum = ZMM()
			VPERMB(entries[i/4][0], index, sum)
			VPERMB(entries[i/4][1], index, lastGroups, sum)
		} else {
			VPERMI2B(entries[i/4][1], entries[i/4][0], index)
		}
		VPDPBUSD(sum, ones, sums[i])
	}
	var spread [8]VecVirtual // the last three, which come in parts
	// take shifts v right and adds these bits of it to index i.
	take := func(i int, v VecVirtual, right uint64, bits uint32) {
		const andOr = 0xEA // (shifted & bits) | others
		others := groups
		if spread[i] != nil {
			others = spread[i]
		}
		shifted := ZMM()
		VPSRLD(Imm(right), v, shifted)
		VPTERNLOGD(U8(andOr), others, masks[bits], shifted)
		spread[i] = shifted
	}
	for v := range 5 {
		index := ZMM()
		VMOVDQU32(Mem{Base: codes, Disp: 64 * v}, index)
		PREFETCHT0(Mem{Base: codes, Disp: 64*v + codesAhead})
		switch v {
		case 0, 1, 2:
			take(5+v, index, 5, 0x07)
		case 3:
			take(5, index, 2, 0x18)
			take(7, index, 4, 0x08)
		case 4:
			take(6, index, 2, 0x18)
			take(7, index, 3, 0x10)
		}
		VPTERNLOGD(U8(0xEA), groups, masks[0x1F], index)
		lookUp(v, index)
	}
	for i := 5; i < 8; i++ {
		lookUp(i, spread[i])
	}
	ADDQ(U32(5*64), codes)
	ADDQ(U32(256), table)
	DECQ(left)
	JNZ(LabelRef("chunk"))

	for i, sum := range sums[:4] {
		VPADDD(sums[4+i], sum, sum)
		VMOVDQU32(sum, Mem{Base: dst, Disp: 64 * i})
	}
	ADDQ(U32(256), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
