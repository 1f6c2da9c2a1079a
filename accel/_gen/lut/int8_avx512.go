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
//
// The codes of a chunk go through each stage together, and a vector of codes is an operand in memory
// where an instruction can have one, though it is then read twice: so Zen 5 takes 7 % less time than
// with one vector of codes after the other.
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
	constant := func(pattern uint32) VecVirtual { return wide.Constant(emit.Bits(pattern)) }
	const (
		byteLanes   = 0x01010101
		lowest      = 0x1F * byteLanes // the bits of a code that is not spread
		first       = 0x07 * byteLanes // and those of a spread one that come from its first vector
		groupNumber = 0x60 * byteLanes
		groupOrder  = 0x60402000 // by byte of a row
	)
	ones, codeMask, groups := constant(byteLanes), constant(lowest), constant(groupOrder)
	origins, upper := constant(first|groupNumber&^groupOrder), constant(0x80*byteLanes)
	// A matrix sets bits 3 and 4 of a byte to other bits of it. Its last byte makes bit 0.
	var matrices [3]VecVirtual
	for i, from := range [][2]int{{5, 6}, {5, 7}, {7, 6}} {
		matrices[i] = ZMM()
		VPBROADCASTQ(emit.Word(1<<(8*(7-3)+from[0])|1<<(8*(7-4)+from[1])).Mem(), matrices[i])
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
	at := func(v int) Mem { return Mem{Base: codes, Disp: 64 * v} }
	var indices [8]VecVirtual
	for i := range indices {
		indices[i] = ZMM()
	}

	// The last two bits of each spread code, with the bits of the number of the group.
	VMOVDQU32(at(3), indices[3])
	VMOVDQU32(at(4), indices[4])
	both := ZMM()
	VMOVDQA32(indices[4], both)
	const choose = 0xD8 // the second where the last has a bit, and else the first
	VPTERNLOGD(U8(choose), upper, indices[3], both)
	var lastTwo [3]VecVirtual
	for i, v := range []VecVirtual{indices[3], indices[4], both} {
		lastTwo[i] = ZMM()
		VGF2P8AFFINEQB(U8(groupNumber&0xFF), matrices[i], v, lastTwo[i])
	}

	for v := range 3 {
		VMOVDQA32(groups, indices[v])
	}
	for i := range lastTwo {
		VPSRLD(Imm(5), at(i), indices[5+i])
	}
	const (
		orAnd = 0xF8 // first | (second & last)
		andOr = 0xEA // (first & second) | last
		// Where origins has a bit, that of the shifted vector, or 0 if the other has one too;
		// elsewhere that of the other.
		byOrigin = 0x64
	)
	for v := range 3 {
		VPTERNLOGD(U8(orAnd), at(v), codeMask, indices[v])
	}
	for v := 3; v < 5; v++ {
		VPTERNLOGD(U8(andOr), groups, codeMask, indices[v])
	}
	for i, other := range lastTwo {
		VPTERNLOGD(U8(byOrigin), origins, other, indices[5+i])
	}

	for t, table := range entries {
		found := indices[4*t : 4*t+4]
		for i, index := range found {
			if twoPermutes {
				found[i] = ZMM()
				VPERMB(table[0], index, found[i])
				VPERMB(table[1], index, lastGroups, found[i])
			} else {
				VPERMI2B(table[1], table[0], index)
			}
		}
		for i, v := range found {
			VPDPBUSD(v, ones, sums[4*t+i])
		}
	}
	for v := range 5 {
		PREFETCHT0(at(v).Offset(codesAhead))
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
