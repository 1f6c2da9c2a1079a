package matmul

import "bittern/accel/kernels/isa"

// Packed holds op(B), k×n, in the order in which the kernel reads it: panel after panel, each
// as wide as a tile and stored row after row. The last panel is padded with zeros to whole
// vectors. The zero value holds the empty matrix; packing again reuses the
// memory.
type Packed struct {
	kernel *kernel
	k, n   int
	data   []float32
}

// Pack fills p with op(B), k×n.
func (p *Packed) Pack(b []float32, ldb int, transB bool, k, n int) error {
	right := operand{b, ldb, transB}
	if err := right.check("B", k, n); err != nil {
		return err
	}
	if p.kernel == nil {
		p.kernel = forLevel(isa.Current())
	}
	p.k, p.n = k, n
	p.data = grow(p.data, k*p.kernel.padded(n))
	if k > 0 {
		p.kernel.packColumns(p.data, right, k, n)
	}
	return nil
}

// packColumns packs op(B), depth×n, into panels of columns.
func (k *kernel) packColumns(dst []float32, b operand, depth, n int) {
	for j := 0; j < n; j += k.width() {
		columns := min(k.width(), n-j)
		if b.transposed {
			k.packAcross(dst[j*depth:], k.padded(columns), b.from(0, j), b.ld, columns, depth)
		} else {
			k.packAlong(dst[j*depth:], k.padded(columns), b.from(0, j), b.ld, columns, depth)
		}
	}
}

// packRows packs op(A), m×depth, into blocks that have as many rows as a tile, each stored
// column after column. The block of row i starts at dst[i*depth].
func (k *kernel) packRows(dst []float32, a operand, m, depth int) {
	for i := 0; i < m; {
		height := k.heights[k.height(m-i)]
		if a.transposed {
			k.packAlong(dst[i*depth:], height, a.from(i, 0), a.ld, height, depth)
		} else {
			k.packAcross(dst[i*depth:], height, a.from(i, 0), a.ld, height, depth)
		}
		i += height
	}
}

// packAlong writes depth rows of width elements, ld apart in src, one after the other, each
// padded with zeros.
func (k *kernel) packAlong(dst []float32, padded int, src []float32, ld, width, depth int) {
	j := width &^ 7
	if j > 0 {
		k.copyRows(dst, padded, src, ld, j/8, depth)
	}
	if width-j >= 4 {
		for p := range depth {
			*(*[4]float32)(dst[p*padded+j:]) = [4]float32(src[p*ld+j:])
		}
		j += 4
	}
	for ; j < width; j++ {
		for p := range depth {
			dst[p*padded+j] = src[p*ld+j]
		}
	}
	if width < padded {
		for p := range depth {
			clear(dst[p*padded:][width:padded])
		}
	}
}

// packAcross is packAlong for the transpose of src, which is width×depth.
func (k *kernel) packAcross(dst []float32, padded int, src []float32, ld, width, depth int) {
	even := depth &^ 7
	j := 0
	for ; j+8 <= width && even > 0; j += 8 {
		k.transpose(dst[j:], padded, src[j*ld:], ld, even)
		for i := j; i < j+8; i++ {
			for p := even; p < depth; p++ {
				dst[p*padded+i] = src[i*ld+p]
			}
		}
	}
	for ; j < width; j++ {
		for p, v := range src[j*ld:][:depth] {
			dst[p*padded+j] = v
		}
	}
	if width < padded {
		for p := range depth {
			clear(dst[p*padded:][width:padded])
		}
	}
}
