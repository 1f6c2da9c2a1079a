package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// tile writes a tile of this many rows and vectors of columns. The sums stay in registers over
// the whole depth. Each step loads the vectors of B once, and each element of A into all lanes
// of a register.
func tile(m emit.Machine, height, width int) {
	m.Function(fmt.Sprintf("tile%dx%d", height, width*m.Lanes),
		"func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool)")

	a := rowsOf(emit.Slice("a"), emit.Pointer("rowStride"), height)
	depthStride := emit.Pointer("depthStride")
	SHLQ(Imm(2), depthStride)
	c, sums := sumsOf(m, a, height, width, func(columns []VecVirtual, a Mem, sums []VecVirtual) {
		element := m.Spread(a)
		for v, column := range columns {
			VFMADD231PS(column, element, sums[v])
		}
	}, func() { a.advance(depthStride) })

	last := m.First(emit.Pointer("last"))
	accumulate := Load(Param("accumulate"), GP8())
	TESTB(accumulate, accumulate)
	JZ(LabelRef("store"))
	c.each(m, sums, last, func(sum VecVirtual, at Mem, tail emit.Tail) {
		if tail == emit.All {
			VADDPS(at, sum, sum)
		} else {
			VADDPS(m.Load(at, tail), sum, sum)
		}
	})
	Label("store")
	c.each(m, sums, last, m.Store)
	m.Return()
}

// integerTile writes a tile of whole numbers. A lane of B has two columns of A's depth: an
// element of A is a pair, whose products with a lane add up in 32 bits.
func integerTile(m emit.Machine, height, width int) {
	m.Function(fmt.Sprintf("integerTile%dx%d", height, width*m.Lanes),
		"func(c []int32, ldc int, a []int16, rowStride int, b []int16, depth, last int)")

	a := rowsOf(emit.Slice("a"), emit.Pointer("rowStride"), height)
	next := GP64()
	MOVQ(U32(4), next)
	c, sums := sumsOf(m, a, height, width, func(columns []VecVirtual, a Mem, sums []VecVirtual) {
		pair := m.Vector()
		VPBROADCASTD(a, pair)
		for v, column := range columns {
			if m.Wide() {
				VPDPWSSD(column, pair, sums[v])
				continue
			}
			products := m.Vector()
			VPMADDWD(column, pair, products)
			VPADDD(products, sums[v], sums[v])
		}
	}, func() { a.advance(next) })
	c.each(m, sums, m.First(emit.Pointer("last")), m.Store)
	m.Return()
}

// sumsOf sums over the depth of a tile. add adds the products of an element of A, and advance
// moves to the next step. C is needed only after the sums, and the prefetch brings it until then.
// A prefetch beyond its last column does no harm.
func sumsOf(m emit.Machine, a rows, height, width int, add func(columns []VecVirtual, a Mem, sums []VecVirtual), advance func()) (c rows, sums [][]VecVirtual) {
	b, depth := emit.Slice("b"), emit.Pointer("depth")
	c = rowsOf(emit.Slice("c"), emit.Pointer("ldc"), height)
	for i := range height {
		for at := 0; at < m.Bytes()*width; at += 64 {
			PREFETCHT0(c.row(i, at))
		}
	}

	sums = make([][]VecVirtual, height)
	for i := range sums {
		for range width {
			sums[i] = append(sums[i], m.Zero())
		}
	}

	Label("step")
	columns := make([]VecVirtual, width)
	for v := range columns {
		columns[v] = m.Load(Mem{Base: b, Disp: m.Bytes() * v}, emit.All)
	}
	for i := range height {
		add(columns, a.row(i, 0), sums[i])
	}
	advance()
	ADDQ(Imm(uint64(m.Bytes()*width)), b)
	DECQ(depth)
	JNZ(LabelRef("step"))
	return c, sums
}

// each runs do for the sums of a tile and their places in C. Of the last vector of a row, the
// lanes of last are used.
func (r rows) each(m emit.Machine, sums [][]VecVirtual, last emit.Tail, do func(sum VecVirtual, at Mem, tail emit.Tail)) {
	for i := range sums {
		for v, sum := range sums[i] {
			tail := emit.All
			if v == len(sums[i])-1 {
				tail = last
			}
			do(sum, r.row(i, m.Bytes()*v), tail)
		}
	}
}
