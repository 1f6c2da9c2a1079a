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

// pairAcross writes the rounding of pairs of rows, one number of each row in a word.
func pairAcross() {
	order := ZMM()
	across(wide, "pairAcross", 1, func() {
		VMOVDQU16(interleaved(), order)
	}, func(low, high scaledRow, to []Mem, tail emit.Tail) {
		l, h, v := wide.Load(low.at, tail), wide.Load(high.at, tail), ZMM()
		VMULPS(low.factor, l, l)
		VMULPS(high.factor, h, h)
		VPERMW(emit.RoundBFloat16(l, h), order, v)
		wide.Store(v, to[0], tail)
	})
}

// rowsAhead is how many rows before across reads a row the processor fetches it. Rows are short and
// far apart, so that it would not do so by itself.
const rowsAhead = 16

// scaledRow is a vector of a row, and what the row is multiplied by.
type scaledRow struct {
	at     Mem
	factor VecVirtual
}

// across writes a loop over pairs of rows, each with a factor. pair writes a vector of a pair, or what
// tail has of one, to as many rows.
func across(m emit.Machine, name string, rows int, begin func(), pair func(low, high scaledRow, to []Mem, tail emit.Tail)) {
	m.Function(name, "func(dst []float32, dstStride int, src []float32, srcStride int, factors []float32, columns, pairs int)")
	dst, dstStride := emit.Slice("dst"), emit.Pointer("dstStride")
	low, srcStride := emit.Slice("src"), emit.Pointer("srcStride")
	SHLQ(Imm(2), dstStride)
	SHLQ(Imm(2), srcStride)
	factors, whole, pairs := emit.Slice("factors"), emit.Pointer("columns"), emit.Pointer("pairs")
	left := GP64()
	MOVQ(whole, left)
	ANDQ(Imm(uint64(m.Lanes-1)), left)
	SUBQ(left, whole)
	tail := m.First(left)
	begin()

	high, lowAhead, highAhead, at := GP64(), GP64(), GP64(), GP64()
	to := []GPVirtual{dst}
	for range rows - 1 {
		to = append(to, GP64())
	}
	Label("pair")
	for i := 1; i < rows; i++ {
		LEAQ(Mem{Base: to[i-1], Index: dstStride, Scale: 1}, to[i])
	}
	lowFactor, highFactor := m.Spread(Mem{Base: factors}), m.Spread(Mem{Base: factors, Disp: 4})
	ADDQ(Imm(8), factors)
	LEAQ(Mem{Base: low, Index: srcStride, Scale: 1}, high)
	MOVQ(srcStride, lowAhead)
	IMUL3Q(Imm(rowsAhead), lowAhead, lowAhead)
	ADDQ(low, lowAhead)
	LEAQ(Mem{Base: lowAhead, Index: srcStride, Scale: 1}, highAhead)
	XORQ(at, at)
	vector := func(tail emit.Tail) {
		m.Prefetch(emit.At(lowAhead, at))
		m.Prefetch(emit.At(highAhead, at))
		var written []Mem
		for _, row := range to {
			written = append(written, emit.At(row, at))
		}
		pair(scaledRow{emit.At(low, at), lowFactor}, scaledRow{emit.At(high, at), highFactor}, written, tail)
	}
	Label("vector")
	CMPQ(at, whole)
	JAE(LabelRef("last"))
	vector(emit.All)
	ADDQ(Imm(uint64(m.Lanes)), at)
	JMP(LabelRef("vector"))
	Label("last")
	TESTQ(left, left)
	JZ(LabelRef("next"))
	vector(tail)
	Label("next")
	LEAQ(Mem{Base: low, Index: srcStride, Scale: 2}, low)
	LEAQ(Mem{Base: to[rows-1], Index: dstStride, Scale: 1}, dst)
	DECQ(pairs)
	JNZ(LabelRef("pair"))
	m.Return()
}

// interleaved is the order 0, 16, 1, 17, … of words.
func interleaved() Mem {
	order := GLOBL("interleaved", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)|uint32(i+16)<<16))
	}
	return order
}
