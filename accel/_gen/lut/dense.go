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
	y, count, w := m.Slice("y"), m.Length("y"), m.Slice("w")
	columns := m.Length("x")
	rows := func(store func(sum VecVirtual)) {
		many, few, last, done := emit.Unique("many"), emit.Unique("few"), emit.Unique("last"), emit.Unique("done")
		x, left := m.Slice("x"), m.Copy(columns)
		var sums [unrolled]VecVirtual
		for i := range sums {
			sums[i] = m.Zero()
		}
		step := func(n int) {
			for i := range n {
				m.AddProduct(sums[i], m.Spread(Mem{Base: x, Disp: 4 * i}), m.Operand(Mem{Base: w, Disp: m.Bytes() * i}))
			}
			m.Advance(x, 4*n)
			m.Advance(w, n*m.Bytes())
		}
		m.Label(many)
		m.JumpIfLess(left, unrolled, few)
		step(unrolled)
		m.Advance(left, -unrolled)
		m.Jump(many)
		m.Label(few)
		m.JumpIfZero(left, done)
		m.Label(last)
		step(1)
		m.CountDown(left, 1, last)
		m.Label(done)
		for distance := unrolled / 2; distance > 0; distance /= 2 {
			for i := range distance {
				m.Accumulate(sums[i], sums[i+distance])
			}
		}
		store(sums[0])
	}
	if m == neon { // a block may have fewer rows, but not one row alone
		m.Label("block")
		rows(func(sum VecVirtual) { emit.StoreFirst(sum, y, count, "block") })
	} else {
		m.Elements(count, func(index GPVirtual, tail emit.Tail) {
			rows(func(sum VecVirtual) { m.Store(sum, emit.At(y, index), tail) })
		})
	}
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
