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
		"func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, bStride, depth, last int, accumulate bool, scale []float32, flush bool)")

	a := rowsOf(emit.Slice("a"), emit.Pointer("rowStride"), height)
	depthStride := emit.Pointer("depthStride")
	SHLQ(Imm(2), depthStride)
	bStride := emit.Pointer("bStride")
	SHLQ(Imm(2), bStride)
	var control Mem
	begin := func() {
		if p.flushes {
			control = flush()
		}
	}
	c, sums := sumsOf(m, height, width, bStride, begin, func(b Register, depth GPVirtual, sums [][]VecVirtual) {
		if height == heights(m)[0] {
			a.fetchNext(m, height, depth)
		}
		p.step(m, a, b, sums)
		a.advance(depthStride)
	})
	last := m.First(emit.Pointer("last"))
	if p.flushes {
		restore(control)
	}
	scale := emit.Slice("scale")
	TESTQ(scale, scale)
	JZ(LabelRef("unscaled"))
	for v := range width {
		factor := m.Load(Mem{Base: scale, Disp: m.Bytes() * v}, tailOf(v, width, last))
		for i := range height {
			VMULPS(factor, sums[i][v], sums[i][v])
		}
	}
	Label("unscaled")
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
	c, sums := sumsOf(m, height, width, Imm(uint64(m.Bytes()*width)), func() {}, func(b Register, _ GPVirtual, sums [][]VecVirtual) {
		eachElement(m, a, b, sums, func(pair, column, sum VecVirtual) {
			if m.Wide() {
				VPDPWSSD(column, pair, sum)
				return
			}
			products := m.Vector()
			VPMADDWD(column, pair, products)
			VPADDD(products, sum, sum)
		})
		a.advance(next)
	})
	c.each(m, sums, m.First(emit.Pointer("last")), m.Store)
	m.Return()
}

// sumsOf sums over the depth of a tile. begin comes before the first step, and step adds the
// products of one step to the sums and moves A to the next. The rows of B are bStride bytes apart.
// C is needed only after the sums, and the prefetch brings it until then. A prefetch beyond its last
// column does no harm.
func sumsOf(m emit.Machine, height, width int, bStride Op, begin func(), step func(b Register, depth GPVirtual, sums [][]VecVirtual)) (c rows, sums [][]VecVirtual) {
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

	begin()
	Label("step")
	step(b, depth, sums)
	ADDQ(bStride, b)
	DECQ(depth)
	JNZ(LabelRef("step"))
	return c, sums
}

// each runs do for the sums of a tile and their places in C.
func (r rows) each(m emit.Machine, sums [][]VecVirtual, last emit.Tail, do func(sum VecVirtual, at Mem, tail emit.Tail)) {
	for i := range sums {
		for v, sum := range sums[i] {
			do(sum, r.row(i, m.Bytes()*v), tailOf(v, len(sums[i]), last))
		}
	}
}

// tailOf returns the lanes that are used of vector v of a row: of the last one, those of last.
func tailOf(v, width int, last emit.Tail) emit.Tail {
	if v == width-1 {
		return last
	}
	return emit.All
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
