package matmul

// The directive for arm64 stands here because go generate skips files that are not built on
// the machine it runs on.
//
//go:generate go -C ../../_gen run ./neon -pkg matmul -out ../kernels/matmul/matmul_arm64.s -stubs ../kernels/matmul/stubs_arm64.go

// A tile computes C = A·B, or C += A·B where accumulate is set, for a small block of C
// that stays in registers. Each function is made for a fixed number of rows and of vectors
// of columns; of the last vector it writes the first last columns. It is this loop, each
// sum in order of p:
//
//	for p := range depth {
//		C[i][j] += a[i*rowStride+p*depthStride] * b[p*width+j]
//	}
//
// width is the padded width of the panel b: its vectors times the lanes.
type tile func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, depth, last int, accumulate bool)

// A fullTile reads the rows of b bStride elements apart. It also multiplies the sum of column j by
// scale[j], if scale is not nil, before it writes or adds it to C. Where flush is set it takes
// subnormal operands and sums as 0.
type fullTile func(c []float32, ldc int, a []float32, rowStride, depthStride int, b []float32, bStride, depth, last int, accumulate bool, scale []float32, flush bool)

// kernel is how one instruction-set level multiplies with one arithmetic.
type kernel struct {
	lanes   int      // floats in a vector
	vectors int      // vectors in a full panel
	heights []int    // rows of the tiles, falling to 1
	tiles   [][]tile // tiles[h][v-1] has heights[h] rows and v vectors

	// Some kernels have these in place of tiles: those of bfloat16, and those of float32 whose
	// tiles serve bfloat16 too.
	full [][]fullTile

	// pairing is how a kernel of bfloat16 rounds its operands; nil for one of float32.
	pairing *pairing

	// A product is cut into blocks of rows×depth of A, which stay in the second-level cache while
	// they meet every panel of a block of depth×columns of B. depth is even.
	rows, depth, columns int

	// inPlace says that tiles read A at full speed in any order, so that packing pays only for a
	// large or transposed A.
	inPlace bool

	// copyRows copies n rows of 8·eights elements.
	copyRows func(dst []float32, dstStride int, src []float32, srcStride, eights, n int)

	// transpose writes the transpose of an 8×n block of src, n a multiple of 8, to dst.
	transpose func(dst []float32, dstStride int, src []float32, srcStride, n int)
}

// stored is how many floats a depth takes in packed matrices.
func (k *kernel) stored(depth int) int {
	if k.pairing != nil {
		return (depth + 1) / 2 * k.pairing.floats
	}
	return depth
}

// width is the number of columns in a full panel.
func (k *kernel) width() int { return k.lanes * k.vectors }

// panel returns how many of the columns that are left the next panel takes. A tile of a single
// vector has too few sums to keep the multipliers busy, so one vector more than a full panel
// makes two panels that are as wide as each other.
func (k *kernel) panel(left int) int {
	vectors := (left + k.lanes - 1) / k.lanes
	if vectors == k.vectors+1 {
		vectors = (vectors + 1) / 2
	}
	return min(left, min(vectors, k.vectors)*k.lanes)
}

// height returns the index in heights of the tallest tile that fits in rows.
func (k *kernel) height(rows int) int {
	for h, height := range k.heights {
		if height <= rows {
			return h
		}
	}
	panic("matmul: a kernel without a tile of one row")
}

// padded rounds a number of columns up to whole vectors.
func (k *kernel) padded(columns int) int {
	return (columns + k.lanes - 1) / k.lanes * k.lanes
}

// panels are packed columns of B: panel after panel, each of stored rows, of which
// those from first on are used. If ld is not 0, they are B itself, with rows ld apart.
type panels struct {
	data          []float32
	stored, first int
	ld            int
	scale         []float32 // of columns; nil where they have none
}

// multiply computes C (+)= A·B for m rows, n columns and one block of depth, counted in floats as
// they are stored. The rows of A are lda apart; if lda is 0, packRows has packed A.
func (k *kernel) multiply(c []float32, ldc int, a []float32, lda int, b panels, m, n, depth int, accumulate bool) {
	for j, columns := 0, 0; j < n; j += columns {
		columns = k.panel(n - j)
		vectors := (columns + k.lanes - 1) / k.lanes
		last := columns - (vectors-1)*k.lanes
		from, bStride := b.first*b.ld+j, b.ld
		if b.ld == 0 {
			bStride = vectors * k.lanes
			from = j*b.stored + b.first*bStride
		}
		panel := b.data[from:]
		var scale []float32
		if b.scale != nil {
			scale = b.scale[j:]
		}
		for i := 0; i < m; {
			h := k.height(m - i)
			rowStride, depthStride, start := lda, 1, i*lda
			if lda == 0 {
				rowStride, depthStride, start = 1, k.heights[h], i*depth
			}
			if k.full == nil {
				k.tiles[h][vectors-1](c[i*ldc+j:], ldc, a[start:], rowStride, depthStride, panel, depth, last, accumulate)
			} else {
				k.full[h][vectors-1](c[i*ldc+j:], ldc, a[start:], rowStride, depthStride, panel, bStride, depth, last, accumulate, scale, k.pairing != nil)
			}
			i += k.heights[h]
		}
	}
}
