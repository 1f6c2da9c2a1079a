package matmul

// portable multiplies in plain Go, in tiles of 4×2: as many sums, and operands
// beside them, as sixteen scalar registers hold.
var portable = kernel{
	lanes:     2,
	vectors:   1,
	heights:   []int{4, 1},
	tiles:     [][]tile{{tile4x2}, {tile1x2}},
	rows:      128,
	depth:     256,
	columns:   1024,
	copyRows:  copyRows,
	transpose: transpose8,
}

// tile4x2 is a tile of 4 packed rows and 2 columns.
func tile4x2(c []float32, ldc int, a []float32, _, _ int, b []float32, depth, last int, accumulate bool) {
	a = a[:4*depth]
	b = b[:2*depth]
	var c00, c01, c10, c11, c20, c21, c30, c31 float32
	for len(a) >= 4 && len(b) >= 2 {
		b0, b1 := b[0], b[1]
		x := a[0]
		c00 += x * b0
		c01 += x * b1
		x = a[1]
		c10 += x * b0
		c11 += x * b1
		x = a[2]
		c20 += x * b0
		c21 += x * b1
		x = a[3]
		c30 += x * b0
		c31 += x * b1
		a, b = a[4:], b[2:]
	}
	sums := [4][2]float32{{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}}
	for i := range sums {
		row := c[i*ldc:][:last]
		for j := range row {
			if accumulate {
				row[j] += sums[i][j]
			} else {
				row[j] = sums[i][j]
			}
		}
	}
}

// tile1x2 is a tile of one packed row and 2 columns.
func tile1x2(c []float32, _ int, a []float32, _, _ int, b []float32, depth, last int, accumulate bool) {
	b = b[:2*depth]
	var sums [2]float32
	for _, x := range a[:depth] {
		sums[0] += x * b[0]
		sums[1] += x * b[1]
		b = b[2:]
	}
	for j := range c[:last] {
		if accumulate {
			c[j] += sums[j]
		} else {
			c[j] = sums[j]
		}
	}
}

// copyRows copies n rows of 8·eights elements.
func copyRows(dst []float32, dstStride int, src []float32, srcStride, eights, n int) {
	for i := range n {
		copy(dst[i*dstStride:][:8*eights], src[i*srcStride:])
	}
}

// transpose8 writes the transpose of the 8×n block src to dst.
func transpose8(dst []float32, dstStride int, src []float32, srcStride, n int) {
	for i := range 8 {
		for p, v := range src[i*srcStride:][:n] {
			dst[p*dstStride+i] = v
		}
	}
}
