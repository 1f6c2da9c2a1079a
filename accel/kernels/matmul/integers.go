package matmul

import (
	"fmt"
	"math"

	"bittern/accel/kernels/isa"
)

// Integers is a matrix W of whole numbers of 16 bits, packed for exact products with vectors of
// whole numbers. Products do not change it.
//
// Sums are of 32 bits. So W is cut into blocks of columns, in which no sum can be larger. Within
// a block the columns go in pairs, whose products one instruction adds up.
type Integers struct {
	kernel        *integerKernel
	rows, columns int
	blocks        []integerBlock
}

// integerBlock is some columns of W, from an even one on. Its panels hold as many rows of W as a
// tile has columns: pair after pair of columns, a pair of numbers for each row.
type integerBlock struct {
	from, pairs int
	data        []int16
}

// integerTile computes C = A·B for a small block of C that stays in registers, as [tile] does,
// but a step of the depth is a pair of whole numbers:
//
//	for p := range depth {
//		C[i][j] += a[2*(i*rowStride+p)]*b[2*(p*width+j)] + a[2*(i*rowStride+p)+1]*b[2*(p*width+j)+1]
//	}
type integerTile func(c []int32, ldc int, a []int16, rowStride int, b []int16, depth, last int)

// integerKernel is how an instruction-set level multiplies whole numbers. Its fields are those
// of a kernel.
type integerKernel struct {
	lanes, vectors int
	heights        []int
	tiles          [][]integerTile
}

func (k *integerKernel) width() int { return k.lanes * k.vectors }

// summed is how many columns are bounded together by the sizes of their numbers.
const summed = 64

// PackIntegers packs W, which is stored row by row, for vectors whose numbers are of at most the
// given size. It panics if two products of numbers of W with such may exceed 32 bits.
func PackIntegers(w []int16, rows, columns, most int) *Integers {
	return packIntegers(integersForLevel(isa.Current()), w, rows, columns, most)
}

func packIntegers(k *integerKernel, w []int16, rows, columns, most int) *Integers {
	if len(w) != rows*columns {
		panic(fmt.Sprintf("matmul: %d whole numbers for a %d×%d matrix", len(w), rows, columns))
	}
	packed := &Integers{kernel: k, rows: rows, columns: columns}
	for _, from := range exactBlocks(w, rows, columns, most) {
		packed.blocks = append(packed.blocks, integerBlock{from: from})
	}
	for i := range packed.blocks {
		to := columns
		if i+1 < len(packed.blocks) {
			to = packed.blocks[i+1].from
		}
		packed.pack(&packed.blocks[i], w, to)
	}
	return packed
}

// exactBlocks returns the first columns of blocks whose sums fit in 32 bits. It tries to add
// summed columns at a time, fewer if numbers are large.
func exactBlocks(w []int16, rows, columns, most int) []int {
	largest := 0
	for _, v := range w {
		largest = max(largest, int(v), -int(v))
	}
	chunk := summed
	if each := largest * most; each > 0 {
		chunk = min(chunk, math.MaxInt32/each&^1)
	}
	if chunk == 0 {
		panic(fmt.Sprintf("matmul: two products of whole numbers up to %d and up to %d do not fit in 32 bits", largest, most))
	}
	blocks := []int{0}
	sums, sizes := make([]int, rows), make([]int, rows) // of the block, and of a chunk
	for from := 0; from < columns; from += chunk {
		fits := true
		for r := range sizes {
			sizes[r] = 0
			for _, v := range w[r*columns+from : r*columns+min(from+chunk, columns)] {
				sizes[r] += max(int(v), -int(v))
			}
			fits = fits && (sums[r]+sizes[r])*most <= math.MaxInt32
		}
		if !fits {
			blocks = append(blocks, from)
			clear(sums)
		}
		for r, size := range sizes {
			sums[r] += size
		}
	}
	return blocks
}

// pack lays out the columns of W up to column to.
func (w *Integers) pack(b *integerBlock, values []int16, to int) {
	k := w.kernel
	b.pairs = (to - b.from + 1) / 2
	padded := (w.rows + k.lanes - 1) / k.lanes * k.lanes
	b.data = make([]int16, 2*b.pairs*padded)
	for first := 0; first < w.rows; first += k.width() {
		panel, width := b.data[2*b.pairs*first:], min(k.width(), padded-first)
		for r := range min(k.width(), w.rows-first) {
			for c, v := range values[(first+r)*w.columns+b.from : (first+r)*w.columns+to] {
				panel[2*(c/2*width+r)+c%2] = v
			}
		}
	}
}

// Blocks returns how many sums add up to a product.
func (w *Integers) Blocks() int { return len(w.blocks) }

// Stride returns how many numbers a vector takes: the columns, and one more if they are odd.
func (w *Integers) Stride() int { return (w.columns + 1) &^ 1 }

// Multiply sets sums, [vectors × rows], to the part of W·x that is due to a block of columns. x
// holds the vectors, each [Integers.Stride] long. Any number of goroutines may multiply.
func (w *Integers) Multiply(sums []int32, x []int16, vectors, block int) {
	stride := w.Stride()
	if len(x) != vectors*stride || len(sums) != vectors*w.rows {
		panic(fmt.Sprintf("matmul: %d whole numbers and %d sums for %d vectors and a %d×%d matrix", len(x), len(sums), vectors, w.rows, w.columns))
	}
	k, b := w.kernel, w.blocks[block]
	if b.pairs == 0 {
		clear(sums)
		return
	}
	for j := 0; j < w.rows; j += k.width() {
		wide := min(k.vectors, (w.rows-j+k.lanes-1)/k.lanes)
		last := min(k.lanes, w.rows-j-(wide-1)*k.lanes)
		panel := b.data[2*b.pairs*j:]
		for i, h := 0, 0; i < vectors; i += k.heights[h] {
			for k.heights[h] > vectors-i {
				h++
			}
			k.tiles[h][wide-1](sums[i*w.rows+j:], w.rows, x[i*stride+b.from:], stride/2, panel, b.pairs, last)
		}
	}
}

var portableIntegers = integerKernel{
	lanes:   2,
	vectors: 1,
	heights: []int{2, 1},
	tiles:   [][]integerTile{{integerTile2x2}, {integerTile1x2}},
}

// integerTile2x2 is a tile of 2 rows and 2 columns.
func integerTile2x2(c []int32, ldc int, a []int16, rowStride int, b []int16, depth, last int) {
	first, second := a[:2*depth], a[2*rowStride:][:2*depth]
	b = b[:4*depth]
	var c00, c01, c10, c11 int32
	for len(first) >= 2 && len(second) >= 2 && len(b) >= 4 {
		x0, x1, y0, y1 := int32(first[0]), int32(first[1]), int32(second[0]), int32(second[1])
		u0, u1, v0, v1 := int32(b[0]), int32(b[1]), int32(b[2]), int32(b[3])
		c00 += x0*u0 + x1*u1
		c01 += x0*v0 + x1*v1
		c10 += y0*u0 + y1*u1
		c11 += y0*v0 + y1*v1
		first, second, b = first[2:], second[2:], b[4:]
	}
	c[0], c[ldc] = c00, c10
	if last == 2 {
		c[1], c[ldc+1] = c01, c11
	}
}

// integerTile1x2 is a tile of one row and 2 columns.
func integerTile1x2(c []int32, _ int, a []int16, _ int, b []int16, depth, last int) {
	a, b = a[:2*depth], b[:4*depth]
	var c0, c1 int32
	for len(a) >= 2 && len(b) >= 4 {
		x0, x1 := int32(a[0]), int32(a[1])
		c0 += x0*int32(b[0]) + x1*int32(b[1])
		c1 += x0*int32(b[2]) + x1*int32(b[3])
		a, b = a[2:], b[4:]
	}
	c[0] = c0
	if last == 2 {
		c[1] = c1
	}
}
