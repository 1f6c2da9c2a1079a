package matmul

import "bittern/accel/kernels/isa"

// Packed holds op(B), k×n, in the order in which the kernel reads it: panel after panel, each
// as wide as a tile and stored row after row. The last panel is padded with zeros to whole
// vectors. The zero value holds the empty matrix; packing again reuses the
// memory.
type Packed struct {
	kernel *kernel
	k, n   int
	data   []float32 // packed, or B itself
	ld     int       // of B itself; 0 if it is packed
	memory []float32 // for packing
	spare  spare
	scales scales
}

// PackedSize returns how many elements a packed matrix k×n has, the most of any arithmetic.
func PackedSize(k, n int) int {
	most := 0
	for _, kernel := range []*kernel{forLevel(isa.Current()), forBFloat16(isa.BFloat16())} {
		most = max(most, kernel.stored(k)*kernel.padded(n))
	}
	return most
}

// Use gives p the memory to pack into, which is then the caller's to give to others too: to
// matrices that are not needed at the same time. If it is too small, p takes other memory.
func (p *Packed) Use(memory []float32) { p.memory = memory[:0] }

// Pack fills p with op(B), k×n, for products of float32.
func (p *Packed) Pack(b []float32, ldb int, transB bool, k, n int) error {
	return p.pack(forLevel(isa.Current()), b, ldb, transB, k, n, nil)
}

// PackBFloat16 fills p with op(B), k×n, for products of bfloat16. If scale is not nil it has an
// element for each stored row of B: the row is divided by it before it is rounded, and products
// are multiplied by it. p keeps scale.
func (p *Packed) PackBFloat16(b []float32, ldb int, transB bool, k, n int, scale []float32) error {
	return p.pack(forBFloat16(isa.BFloat16()), b, ldb, transB, k, n, scale)
}

func (p *Packed) pack(kernel *kernel, b []float32, ldb int, transB bool, k, n int, scale []float32) error {
	right := operand{b, ldb, transB}
	if err := right.check("B", k, n); err != nil {
		return err
	}
	if err := right.checkScale(scale, k, n); err != nil {
		return err
	}
	p.kernel, p.k, p.n, p.scales = kernel, k, n, right.scales(scale)
	p.memory = grow(p.memory, kernel.stored(k)*kernel.padded(n))
	p.data, p.ld = p.memory, 0
	if k > 0 {
		kernel.packColumns(p.data, &p.spare, right, k, n, p.scales)
	}
	return nil
}

// Borrow fills p with B, k×n, for products of float32, and leaves B where it lies if the kernel can
// read it there. That pays for a matrix that is multiplied once. B must not change before p is
// packed anew or no longer used.
func (p *Packed) Borrow(b []float32, ldb, k, n int) error {
	return p.borrow(forLevel(isa.Current()), b, ldb, k, n)
}

func (p *Packed) borrow(kernel *kernel, b []float32, ldb, k, n int) error {
	// Tiles read whole vectors, beyond the last column too.
	wholeVectors := k > 0 && n > 0 && len(b) >= (k-1)*ldb+kernel.padded(n)
	if kernel.full == nil || kernel.pairing != nil || !wholeVectors {
		return p.pack(kernel, b, ldb, false, k, n, nil)
	}
	if err := (operand{b, ldb, false}).check("B", k, n); err != nil {
		return err
	}
	p.kernel, p.k, p.n, p.scales = kernel, k, n, scales{}
	p.data, p.ld = b, ldb
	return nil
}

// spare is what rounding needs besides the matrix that it fills.
type spare struct {
	rows []float32 // of some columns of B
	edge edge
}

// packColumns packs op(B), depth×n, into panels of columns.
func (k *kernel) packColumns(dst []float32, s *spare, b operand, depth, n int, scale scales) {
	stored := k.stored(depth)
	for j, columns := 0, 0; j < n; j += columns {
		columns = k.panel(n - j)
		to, padded, from := dst[j*stored:], k.padded(columns), b.from(0, j)
		switch {
		case k.pairing != nil && b.transposed:
			s.rows = grow(s.rows, columns*stored)
			k.pairing.rows(&s.edge, s.rows, stored, from, b.ld, columns, depth, nil, factors{scale.columns, true}.from(j))
			k.packAcross(to, padded, s.rows, stored, columns, stored)
		case k.pairing != nil:
			k.pairing.columns(&s.edge, to, padded, from, b.ld, columns, depth, factors{scale.depth, true})
		case b.transposed:
			k.packAcross(to, padded, from, b.ld, columns, depth)
		default:
			k.packAlong(to, padded, from, b.ld, columns, depth)
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
