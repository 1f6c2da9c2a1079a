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
	b, depth := emit.Slice("b"), emit.Pointer("depth")

	// C is needed only after the sums, and the prefetch brings it until then. A prefetch beyond
	// its last column does no harm.
	c := rowsOf(emit.Slice("c"), emit.Pointer("ldc"), height)
	for i := range height {
		for at := 0; at < m.Bytes()*width; at += 64 {
			PREFETCHT0(c.row(i, at))
		}
	}

	sums := make([][]VecVirtual, height)
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
		element := m.Spread(a.row(i, 0))
		for v, column := range columns {
			VFMADD231PS(column, element, sums[i][v])
		}
	}
	a.advance(depthStride)
	ADDQ(Imm(uint64(m.Bytes()*width)), b)
	DECQ(depth)
	JNZ(LabelRef("step"))

	last := m.First(emit.Pointer("last"))
	each := func(do func(sum VecVirtual, at Mem, tail emit.Tail)) {
		for i := range height {
			for v, sum := range sums[i] {
				tail := emit.All
				if v == width-1 {
					tail = last
				}
				do(sum, c.row(i, m.Bytes()*v), tail)
			}
		}
	}
	accumulate := Load(Param("accumulate"), GP8())
	TESTB(accumulate, accumulate)
	JZ(LabelRef("store"))
	each(func(sum VecVirtual, at Mem, tail emit.Tail) {
		if tail == emit.All {
			VADDPS(at, sum, sum)
		} else {
			VADDPS(m.Load(at, tail), sum, sum)
		}
	})
	Label("store")
	each(m.Store)
	m.Return()
}
