package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

var neon = emit.NEON

// integerTablesNEON makes a table for each group of 4 activations. With entries of one byte it
// has the 16 entries. With two bytes it has the lower bytes, and then the upper bytes.
func integerTablesNEON(size entrySize) {
	signature := "func(tables []byte, q []int16)"
	if size == oneByte {
		signature = "func(tables []byte, q []int16, multiplier int16)"
	}
	neon.Function(size.precision()+"Tables", signature)
	tables, q, groups := neon.Slice("tables"), neon.Slice("q"), neon.Length("q")
	emit.WriteARM("LSR $2, %[2]s, %[1]s", groups, groups)
	var signs [2][4]VecVirtual // by half of the entries and by activation
	for half := range signs {
		for j := range signs[half] {
			signs[half][j] = neon.Vector()
			emit.ARMTable(signs[half][j], signTable(half, j))
		}
	}
	multiplier := neon.Vector()
	if size == oneByte {
		bits := emit.General()
		emit.WriteARM("MOVH %[2]s, %[1]s", bits, neon.Argument("multiplier"))
		emit.WriteARM("VDUP %[2]s, %[1]s.H8", multiplier, bits)
	}

	neon.Label("group")
	var sums [2]VecVirtual
	for j := range 4 {
		activation := neon.Vector()
		bits := emit.General()
		emit.WriteARM("MOVH %[2]s, %[1]s", bits, Mem{Base: q, Disp: 2 * j})
		emit.WriteARM("VDUP %[2]s, %[1]s.H8", activation, bits)
		for half := range sums {
			if j == 0 {
				sums[half] = neon.Vector()
				emit.ARM("mul.8h", sums[half], activation, signs[half][j])
			} else {
				emit.ARM("mla.8h", sums[half], activation, signs[half][j])
			}
		}
	}
	if size == oneByte { // a rounded doubled product, of which the upper half counts
		for _, sum := range sums {
			emit.ARM("sqrdmulh.8h", sum, sum, multiplier)
		}
	}
	for b, name := range []string{"uzp1", "uzp2"}[:size] {
		bytes := neon.Vector()
		emit.ARM(name, bytes, sums[0], sums[1])
		neon.Store(bytes, Mem{Base: tables, Disp: 16 * b}, emit.All)
	}
	neon.Advance(q, 8)
	neon.Advance(tables, 16*int(size))
	neon.CountDown(groups, 1, "group")
	neon.Return()
}

// signTable has the signs by which 8 entries of a table multiply activation j of a group: −1
// where bit j of the entry is clear.
func signTable(half, j int) Mem {
	var words []U16
	for e := range 8 {
		words = append(words, U16(uint16((8*half+e)>>j&1*2-1)))
	}
	return emit.ARMData(fmt.Sprintf("signs%d%d", half, j), words)
}

// int8LargestNEON returns the largest Σ|q| of a group of 4 activations. The length is a multiple
// of 8.
func int8LargestNEON() {
	neon.Function("int8Largest", "func(q []int16) int32")
	q, count := neon.Slice("q"), neon.Length("q")
	most := neon.Zero()
	neon.Label("next")
	sums := neon.Load(Mem{Base: q}, emit.All)
	emit.ARM("abs.8h", sums, sums)
	for range 2 { // neighbours, twice
		emit.ARM("addp.8h", sums, sums, sums)
	}
	emit.ARM("smax.8h", most, most, sums)
	neon.Advance(q, 16)
	neon.Advance(count, -8)
	neon.JumpIfPositive(count, "next")
	emit.ARM("smaxv.8h", most, most)
	emit.ARMResult(most)
	neon.Return()
}

// integerSumsNEON sums blocks of 64 rows. For each plane, a chunk of 8 columns (two groups) is
// four vectors of codes with a row in each byte. The lower half of the byte is the index of the
// first group, the upper half that of the second.
//
// Bytes are added to words, of which each holds the sum of a row's lower or upper bytes. After
// each segment the words are added to dst. The upper bytes have the sign.
func integerSumsNEON(size entrySize, planes int) {
	neon.Function(fmt.Sprintf("%sSums%d", size.precision(), planes), "func(dst []int32, codes, tables []byte, chunks int)")
	dst, blocks := neon.Slice("dst"), neon.Length("dst")
	codes, tables, chunks := neon.Slice("codes"), neon.Slice("tables"), neon.Pointer("chunks")
	emit.WriteARM("LSR $6, %[2]s, %[1]s", blocks, blocks)
	nibble, zero := neon.Constant(emit.Bits(0x0F0F0F0F)), neon.Zero()
	table, left, part := emit.General(), emit.General(), emit.General()

	neon.Label("block")
	for i := range 16 {
		neon.Store(zero, Mem{Base: dst, Disp: 16 * i}, emit.All)
	}
	emit.WriteARM("MOVD %[2]s, %[1]s", table, tables)
	emit.WriteARM("MOVD %[2]s, %[1]s", left, chunks)

	neon.Label("segment")
	var words [2][4][2]VecVirtual // by byte of an entry, vector and half of it
	for b := range int(size) {
		for v := range words[b] {
			for half := range words[b][v] {
				words[b][v][half] = neon.Zero()
			}
		}
	}
	longest := groupsPerSegment / 2 / planes
	emit.WriteARM("MOVD %[2]s, %[1]s", part, left)
	neon.Unless(func(fits string) { neon.JumpIfLess(left, longest, fits) }, func() {
		emit.WriteARM("MOVD $%[2]d, %[1]s", part, U32(longest))
	})
	emit.WriteARM("SUB %[3]s, %[2]s, %[1]s", left, left, part)

	neon.Label("chunk")
	// The sign is in the last byte.
	add := [][2]string{{"uaddw.8h", "uaddw2.8h"}, {"saddw.8h", "saddw2.8h"}}[2-size:]
	for group := range 2 {
		var entries [2]VecVirtual
		for b := range int(size) {
			entries[b] = neon.Load(Mem{Base: table, Disp: 16 * (int(size)*group + b)}, emit.All)
		}
		for plane := range planes {
			for v := range 4 {
				index := neon.Load(Mem{Base: codes, Disp: 64*plane + 16*v}, emit.All)
				if group == 0 {
					emit.ARM("and", index, index, nibble)
				} else {
					emit.ARMShift("ushr.16b", index, index, 4)
				}
				for b := range int(size) {
					sums := neon.Vector()
					emit.ARM("tbl", sums, entries[b], index)
					for half, word := range words[b][v] {
						emit.ARM(add[b][half], word, word, sums)
					}
				}
			}
		}
	}
	neon.Advance(codes, 64*planes)
	neon.Advance(table, 32*int(size))
	neon.CountDown(part, 1, "chunk")

	for v := range 4 {
		for half := range 2 {
			for quarter := range 2 {
				at := Mem{Base: dst, Disp: 64*v + 32*half + 16*quarter}
				sum := neon.Load(at, emit.All)
				if size == oneByte {
					emit.ARM([]string{"saddw.4s", "saddw2.4s"}[quarter], sum, sum, words[0][v][half])
				} else {
					emit.ARM([]string{"uaddw.4s", "uaddw2.4s"}[quarter], sum, sum, words[0][v][half])
					upper := neon.Vector()
					emit.ARMShift([]string{"sshll.4s", "sshll2.4s"}[quarter], upper, words[1][v][half], 8)
					emit.ARM("add", sum, sum, upper)
				}
				neon.Store(sum, at, emit.All)
			}
		}
	}
	neon.JumpIfPositive(left, "segment")
	neon.Advance(dst, 256)
	neon.CountDown(blocks, 1, "block")
	neon.Return()
}
