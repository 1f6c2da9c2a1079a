// Command matmul generates the tiles and packing loops of accel/matmul.
package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// vectors is the width of the widest tile.
const vectors = 3

// heights are those of the tiles: as many rows as leave registers for the columns of B and
// an element of A.
func heights(m emit.Machine) []int {
	if m.Wide() {
		return []int{8, 4, 2, 1}
	}
	return []int{4, 2, 1}
}

func main() {
	for _, m := range slices.Backward(emit.Machines) {
		for _, height := range heights(m) {
			for width := 1; width <= vectors; width++ {
				tile(m, height, width)
			}
		}
	}
	copyRows()
	transpose()
	Generate()
}

// tile generates a tile of some rows and vectors of columns. The sums stay in registers over the whole
// depth: each step loads the vectors of B once, and each element of A into all lanes of a register.
func tile(m emit.Machine, height, width int) {
	m.Function(fmt.Sprintf("tile%dx%d", height, width*m.Lanes),
		"func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool)")

	a := rowsOf(emit.Slice("a"), emit.Pointer("rowStride"), height)
	depthStride := emit.Pointer("depthStride")
	SHLQ(Imm(2), depthStride)
	b, depth := emit.Slice("b"), emit.Pointer("depth")

	// C is needed only when the sums are done: by then it is here. A prefetch beyond its last
	// column reads nothing.
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

// rows addresses up to 8 rows that lie a stride apart: of each four, the first has a register, the
// others are an index of one, two and three strides away.
type rows struct {
	bases         []Register
	stride, three Register
}

func rowsOf(base, stride Register, height int) rows {
	SHLQ(Imm(2), stride)
	r := rows{bases: []Register{base}, stride: stride}
	if height > 3 {
		r.three = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.three)
	}
	for i := 4; i < height; i += 4 {
		next := GP64()
		LEAQ(Mem{Base: r.bases[len(r.bases)-1], Index: stride, Scale: 4}, next)
		r.bases = append(r.bases, next)
	}
	return r
}

// row is the memory offset bytes into row i.
func (r rows) row(i, offset int) Mem {
	at := Mem{Base: r.bases[i/4], Disp: offset}
	switch i % 4 {
	case 1, 2:
		at.Index, at.Scale = r.stride, uint8(i%4)
	case 3:
		at.Index, at.Scale = r.three, 1
	}
	return at
}

func (r rows) advance(bytes Register) {
	for _, base := range r.bases {
		ADDQ(bytes, base)
	}
}

// copyRows generates the copy of n rows of whole eights of columns. It pays over copy because rows are short.
func copyRows() {
	TEXT("copyRowsAVX2", NOSPLIT, "func(dst []float32, dstStride int, src []float32, srcStride, eights, n int)")
	Pragma("noescape")
	dst, dstStride := emit.Slice("dst"), emit.Pointer("dstStride")
	src, srcStride := emit.Slice("src"), emit.Pointer("srcStride")
	SHLQ(Imm(2), dstStride)
	SHLQ(Imm(2), srcStride)
	eights, n := emit.Pointer("eights"), emit.Pointer("n")
	SHLQ(Imm(5), eights)

	Label("row")
	at := GP64()
	XORQ(at, at)
	Label("eight")
	v := YMM()
	VMOVUPS(Mem{Base: src, Index: at, Scale: 1}, v)
	VMOVUPS(v, Mem{Base: dst, Index: at, Scale: 1})
	ADDQ(Imm(32), at)
	CMPQ(at, eights)
	JB(LabelRef("eight"))
	ADDQ(srcStride, src)
	ADDQ(dstStride, dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// transpose generates the transpose of 8 rows, 8 columns at a time.
func transpose() {
	TEXT("transpose8AVX2", NOSPLIT, "func(dst []float32, dstStride int, src []float32, srcStride, n int)")
	Pragma("noescape")
	src := rowsOf(emit.Slice("src"), emit.Pointer("srcStride"), 8)
	dst := rowsOf(emit.Slice("dst"), emit.Pointer("dstStride"), 8)
	n := emit.Pointer("n")
	far := GP64()
	MOVQ(dst.stride, far)
	SHLQ(Imm(3), far)
	bytes := GP64()
	MOVQ(U32(32), bytes)

	Label("block")
	for half := range 2 {
		// The lower lane of a register has four elements of one row, the upper lane those of the
		// row four below: from there on no element changes lanes.
		var in [4]VecVirtual
		for i := range in {
			in[i] = YMM()
			VMOVUPS(src.row(i, 16*half), in[i].AsX())
			VINSERTF128(Imm(1), src.row(i+4, 16*half), in[i], in[i])
		}
		for j, column := range emit.Transpose4x4(in) {
			VMOVUPS(column, dst.row(4*half+j, 0))
		}
	}
	src.advance(bytes)
	dst.advance(far)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
