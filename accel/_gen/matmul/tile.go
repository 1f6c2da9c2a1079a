package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// product is what tiles compute with.
type product struct {
	name string // of functions
	// flushes says whether the tiles set the processor to treat subnormal numbers as 0 where their
	// argument flush is set. The others always do so.
	flushes bool
	// step adds the products of one step of depth, of a column of A with a row of B, to sums.
	step func(m emit.Machine, a rows, b Register, sums [][]VecVirtual)
}

// multiplyAdd loads the vectors of B once, and each element of A into all lanes of a register.
func multiplyAdd(m emit.Machine, a rows, b Register, sums [][]VecVirtual) {
	eachElement(m, a, b, sums, func(element, column, sum VecVirtual) { VFMADD231PS(column, element, sum) })
}

// dot is multiplyAdd for pairs.
func dot(m emit.Machine, a rows, b Register, sums [][]VecVirtual) {
	eachElement(m, a, b, sums, emit.DotBFloat16)
}

func eachElement(m emit.Machine, a rows, b Register, sums [][]VecVirtual, add func(element, column, sum VecVirtual)) {
	columns := make([]VecVirtual, len(sums[0]))
	for v := range columns {
		columns[v] = m.Load(Mem{Base: b, Disp: m.Bytes() * v}, emit.All)
	}
	for i := range sums {
		element := m.Spread(a.row(i, 0))
		for v, column := range columns {
			add(element, column, sums[i][v])
		}
	}
}

// tile writes a tile of this many rows and vectors of columns. The sums stay in registers over
// the whole depth.
func (p product) tile(m emit.Machine, height, width int) {
	m.Function(fmt.Sprintf("%s%dx%d", p.name, height, width*m.Lanes),
		"func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool, scale []float32, flush bool)")

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

	var control Mem
	if p.flushes {
		control = flush()
	}
	Label("step")
	p.step(m, a, b, sums)
	a.advance(depthStride)
	ADDQ(Imm(uint64(m.Bytes()*width)), b)
	DECQ(depth)
	JNZ(LabelRef("step"))

	last := m.First(emit.Pointer("last"))
	tail := func(v int) emit.Tail {
		if v == width-1 {
			return last
		}
		return emit.All
	}
	if p.flushes {
		restore(control)
	}
	scale := emit.Slice("scale")
	TESTQ(scale, scale)
	JZ(LabelRef("unscaled"))
	for v := range width {
		factor := m.Load(Mem{Base: scale, Disp: m.Bytes() * v}, tail(v))
		for i := range height {
			VMULPS(factor, sums[i][v], sums[i][v])
		}
	}
	Label("unscaled")
	each := func(do func(sum VecVirtual, at Mem, tail emit.Tail)) {
		for i := range height {
			for v, sum := range sums[i] {
				do(sum, c.row(i, m.Bytes()*v), tail(v))
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

// flush has the processor treat subnormal numbers as 0, operands and results, if the argument flush
// is set. It returns where the control word before it is. Go does not change it within a function of
// assembly.
func flush() Mem {
	const flushToZero, subnormalsAreZero = 1 << 15, 1 << 6
	before := AllocLocal(8)
	wanted, word := Load(Param("flush"), GP8()), GP32()
	TESTB(wanted, wanted)
	JZ(LabelRef("step"))
	STMXCSR(before)
	MOVL(before, word)
	ORL(U32(flushToZero|subnormalsAreZero), word)
	MOVL(word, before.Offset(4))
	LDMXCSR(before.Offset(4))
	return before
}

// restore ends what flush began.
func restore(before Mem) {
	wanted := Load(Param("flush"), GP8())
	TESTB(wanted, wanted)
	JZ(LabelRef("flushed"))
	LDMXCSR(before)
	Label("flushed")
}
