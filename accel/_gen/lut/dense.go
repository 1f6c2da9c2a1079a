package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// unrolled is how many columns are summed separately, so that a multiply-add need not wait for
// the one before.
const unrolled = 8

// dense sets y = W·x. w has blocks of as many rows as a vector has lanes, stored column after
// column. In y the last block may have fewer rows.
func dense(m emit.Machine) {
	m.Function("dense", "func(y, w, x []float32)")
	y, count, w := emit.Slice("y"), emit.Length("y"), emit.Slice("w")
	x, columns, left := GP64(), emit.Length("x"), GP64()
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		many, few, last, done := emit.Unique("many"), emit.Unique("few"), emit.Unique("last"), emit.Unique("done")
		Load(Param("x").Base(), x)
		MOVQ(columns, left)
		var sums [unrolled]VecVirtual
		for i := range sums {
			sums[i] = m.Zero()
		}
		step := func(n int) {
			for i := range n {
				m.AddProduct(sums[i], m.Spread(Mem{Base: x, Disp: 4 * i}), Mem{Base: w, Disp: m.Bytes() * i})
			}
			ADDQ(U32(uint32(4*n)), x)
			ADDQ(U32(uint32(n*m.Bytes())), w)
		}
		Label(many)
		CMPQ(left, Imm(unrolled))
		JL(LabelRef(few))
		step(unrolled)
		SUBQ(Imm(unrolled), left)
		JMP(LabelRef(many))
		Label(few)
		TESTQ(left, left)
		JZ(LabelRef(done))
		Label(last)
		step(1)
		DECQ(left)
		JNZ(LabelRef(last))
		Label(done)
		for distance := unrolled / 2; distance > 0; distance /= 2 {
			for i := range distance {
				VADDPS(sums[i+distance], sums[i], sums[i])
			}
		}
		m.Store(sums[0], emit.At(y, index), tail)
	})
	m.Return()
}

// togetherBlocks is how many blocks of rows are multiplied together.
const togetherBlocks = 2

// togetherVectors are the numbers of vectors that they are multiplied by: as many as leave
// registers for the blocks and an element, and fewer.
func togetherVectors(m emit.Machine) []int {
	if m.Wide() {
		return []int{8, 4, 2}
	}
	return []int{4, 2}
}

// denseTogether adds products with some columns of two blocks of rows of W to sums. The columns
// are those that dense sums separately from others: every one of unrolled. An element of x is
// one of each vector.
//
// Columns that are so far apart are not read at the speed of the memory. So every step prefetches
// the next lines of ahead, which will be read later.
func denseTogether(m emit.Machine, vectors int) {
	m.Function(fmt.Sprintf("denseTogether%d", vectors), "func(sums, w, x []float32, block, columns int, ahead []float32)")
	to, w, x, columns := emit.Slice("sums"), emit.Slice("w"), emit.Slice("x"), emit.Pointer("columns")
	block, ahead := emit.Pointer("block"), emit.Slice("ahead")
	step := unrolled * m.Bytes()
	var sums [togetherBlocks][]VecVirtual
	at := func(b, v int) Mem { return Mem{Base: to, Disp: (b*vectors + v) * m.Bytes()} }
	for b := range sums {
		for v := range vectors {
			sums[b] = append(sums[b], m.Load(at(b, v), emit.All))
		}
	}
	Label("column")
	var rows [togetherBlocks]VecVirtual
	for b, from := range []Mem{{Base: w}, {Base: w, Index: block, Scale: 4}} {
		rows[b] = m.Load(from, emit.All)
	}
	for line := 0; line < togetherBlocks*m.Bytes(); line += 64 {
		PREFETCHT0(Mem{Base: ahead, Disp: line})
	}
	ADDQ(U32(uint32(togetherBlocks*m.Bytes())), ahead)
	for v := range vectors {
		element := m.Spread(Mem{Base: x, Disp: 4 * v})
		for b, row := range rows {
			m.AddProduct(sums[b][v], element, row)
		}
	}
	ADDQ(U32(uint32(step)), w)
	ADDQ(U32(uint32(4*unrolled*vectors)), x)
	DECQ(columns)
	JNZ(LabelRef("column"))
	for b := range sums {
		for v, sum := range sums[b] {
			m.Store(sum, at(b, v), emit.All)
		}
	}
	m.Return()
}
