package matmul

// portable multiplies in plain Go, in tiles of 2×2. The compiler keeps four sums and two unrolled
// steps of operands in its sixteen registers; a larger tile spills a sum, and a spilled sum waits
// for memory at every step.
var portable = kernel{
	lanes:     2,
	vectors:   1,
	heights:   []int{2, 1},
	tiles:     [][]tile{{tile2x2}, {tile1x2}},
	rows:      128,
	depth:     256,
	columns:   512,
	copyRows:  copyRows,
	transpose: transpose8,
}

// tile2x2 is a tile of 2 packed rows and 2 columns.
func tile2x2(c []float32, ldc int, a []float32, _, _ int, b []float32, depth, last int, accumulate bool) {
	a, b = a[:2*depth], b[:2*depth]
	var c00, c01, c10, c11 float32
	for len(a) >= 8 && len(b) >= 8 {
		c00 += a[0] * b[0]
		c01 += a[0] * b[1]
		c10 += a[1] * b[0]
		c11 += a[1] * b[1]

		c00 += a[2] * b[2]
		c01 += a[2] * b[3]
		c10 += a[3] * b[2]
		c11 += a[3] * b[3]

		c00 += a[4] * b[4]
		c01 += a[4] * b[5]
		c10 += a[5] * b[4]
		c11 += a[5] * b[5]

		c00 += a[6] * b[6]
		c01 += a[6] * b[7]
		c10 += a[7] * b[6]
		c11 += a[7] * b[7]
		a, b = a[8:], b[8:]
	}
	for len(a) >= 2 && len(b) >= 2 {
		c00 += a[0] * b[0]
		c01 += a[0] * b[1]
		c10 += a[1] * b[0]
		c11 += a[1] * b[1]
		a, b = a[2:], b[2:]
	}
	put(c, c00, c01, last, accumulate)
	put(c[ldc:], c10, c11, last, accumulate)
}

// tile1x2 is a tile of one packed row and 2 columns.
func tile1x2(c []float32, _ int, a []float32, _, _ int, b []float32, depth, last int, accumulate bool) {
	b = b[:2*depth]
	var c0, c1 float32
	for _, x := range a[:depth] {
		c0 += x * b[0]
		c1 += x * b[1]
		b = b[2:]
	}
	put(c, c0, c1, last, accumulate)
}

// put writes a row of a tile, or adds it.
func put(c []float32, c0, c1 float32, last int, accumulate bool) {
	if accumulate {
		c0 += c[0]
	}
	c[0] = c0
	if last < 2 {
		return
	}
	if accumulate {
		c1 += c[1]
	}
	c[1] = c1
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
