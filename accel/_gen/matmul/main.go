// Command matmul generates the tiles and packing loops of accel/matmul.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// level is what an instruction set means to a tile.
type level struct {
	name    string
	lanes   int
	vectors int   // of the widest tile
	heights []int // of its tiles
	vector  func() VecVirtual
}

func main() {
	avx512 := level{"AVX512", 16, 3, []int{8, 4, 2, 1}, ZMM}
	avx2 := level{"AVX2", 8, 3, []int{4, 2, 1}, YMM}
	for _, l := range []level{avx512, avx2} {
		for _, height := range l.heights {
			for vectors := range l.vectors {
				tile(l, height, vectors+1)
			}
		}
	}
	copyRows()
	transpose()
	Generate()
}

// tile generates one height×vectors tile. The sums stay in registers over the whole depth: each
// step loads the vectors of B once, and each element of A into all lanes of a register.
func tile(l level, height, vectors int) {
	TEXT(fmt.Sprintf("tile%dx%d%s", height, vectors*l.lanes, l.name), NOSPLIT,
		"func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool)")
	Pragma("noescape")

	a := rowsOf(Load(Param("a").Base(), GP64()), Load(Param("rowStride"), GP64()), height)
	depthStride := Load(Param("depthStride"), GP64())
	SHLQ(Imm(2), depthStride)
	b := Load(Param("b").Base(), GP64())
	depth := Load(Param("depth"), GP64())

	// C is needed only when the sums are done: by then it is here. A prefetch beyond its last
	// column reads nothing.
	c := rowsOf(Load(Param("c").Base(), GP64()), Load(Param("ldc"), GP64()), height)
	for i := range height {
		for at := 0; at < 4*l.lanes*vectors; at += 64 {
			PREFETCHT0(c.row(i, at))
		}
	}

	sums := make([][]VecVirtual, height)
	for i := range sums {
		for range vectors {
			sum := l.vector()
			VXORPS(sum, sum, sum)
			sums[i] = append(sums[i], sum)
		}
	}

	Label("step")
	columns := make([]VecVirtual, vectors)
	for v := range columns {
		columns[v] = l.vector()
		VMOVUPS(Mem{Base: b, Disp: 4 * l.lanes * v}, columns[v])
	}
	for i := range height {
		element := l.vector()
		VBROADCASTSS(a.row(i, 0), element)
		for v, column := range columns {
			VFMADD231PS(column, element, sums[i][v])
		}
	}
	a.advance(depthStride)
	ADDQ(Imm(uint64(4*l.lanes*vectors)), b)
	DECQ(depth)
	JNZ(LabelRef("step"))

	edge := newEdge(l)
	accumulate := Load(Param("accumulate"), GP8())
	TESTB(accumulate, accumulate)
	JZ(LabelRef("store"))
	for i := range height {
		for v := range vectors {
			at := c.row(i, 4*l.lanes*v)
			if v == vectors-1 {
				old := l.vector()
				edge.load(at, old)
				VADDPS(old, sums[i][v], sums[i][v])
			} else {
				VADDPS(at, sums[i][v], sums[i][v])
			}
		}
	}
	Label("store")
	for i := range height {
		for v := range vectors {
			at := c.row(i, 4*l.lanes*v)
			if v == vectors-1 {
				edge.store(sums[i][v], at)
			} else {
				VMOVUPS(sums[i][v], at)
			}
		}
	}
	VZEROUPPER()
	RET()
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

// edge is the mask of the last vector's columns.
type edge struct {
	mask Virtual
}

func newEdge(l level) edge {
	last := Load(Param("last"), GP64())
	if l.name == "AVX512" {
		bits, mask := GP32(), K()
		MOVL(U32(0xffff), bits)
		BZHIL(last.(GPVirtual).As32(), bits, bits)
		KMOVW(bits, mask)
		return edge{mask}
	}
	// Eight ones, then eight zeros: the mask of n columns starts n before the zeros.
	table := maskTable()
	at := GP64()
	LEAQ(table, at)
	NEGQ(last)
	mask := YMM()
	VMOVUPS(Mem{Base: at, Index: last, Scale: 4, Disp: 32}, mask)
	return edge{mask}
}

func (e edge) load(from Mem, to VecVirtual) {
	if e.mask.Kind() == KindOpmask {
		VMOVUPS_Z(from, e.mask, to)
		return
	}
	VMASKMOVPS(from, e.mask, to)
}

func (e edge) store(from VecVirtual, to Mem) {
	if e.mask.Kind() == KindOpmask {
		VMOVUPS(from, e.mask, to)
		return
	}
	VMASKMOVPS(from, e.mask, to)
}

var masks *Mem

func maskTable() Mem {
	if masks == nil {
		at := GLOBL("columnMasks", RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(0xffffffff))
		}
		for i := range 8 {
			DATA(32+4*i, U32(0))
		}
		masks = &at
	}
	return *masks
}

// copyRows generates the copy of n rows of whole eights of columns. It pays over copy because rows are short.
func copyRows() {
	TEXT("copyRowsAVX2", NOSPLIT, "func(dst []float32, dstStride int, src []float32, srcStride, eights, n int)")
	Pragma("noescape")
	dst, dstStride := Load(Param("dst").Base(), GP64()), Load(Param("dstStride"), GP64())
	src, srcStride := Load(Param("src").Base(), GP64()), Load(Param("srcStride"), GP64())
	SHLQ(Imm(2), dstStride)
	SHLQ(Imm(2), srcStride)
	eights, n := Load(Param("eights"), GP64()), Load(Param("n"), GP64())
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
	src := rowsOf(Load(Param("src").Base(), GP64()), Load(Param("srcStride"), GP64()), 8)
	dst := rowsOf(Load(Param("dst").Base(), GP64()), Load(Param("dstStride"), GP64()), 8)
	n := Load(Param("n"), GP64())
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
		for pair := range 2 {
			left, right := YMM(), YMM()
			if pair == 0 {
				VUNPCKLPS(in[1], in[0], left)
				VUNPCKLPS(in[3], in[2], right)
			} else {
				VUNPCKHPS(in[1], in[0], left)
				VUNPCKHPS(in[3], in[2], right)
			}
			for odd, order := range []uint8{0x44, 0xee} {
				out := YMM()
				VSHUFPS(Imm(uint64(order)), right, left, out)
				VMOVUPS(out, dst.row(4*half+2*pair+odd, 0))
			}
		}
	}
	src.advance(bytes)
	dst.advance(far)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
