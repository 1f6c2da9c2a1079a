package matmul

// portable multiplies in plain Go, in tiles of 2×4: eight sums, as many as it takes to keep two adders
// of a latency of four cycles busy, and six operands fit in sixteen registers.
var portable = kernel{
	lanes:     4,
	vectors:   1,
	heights:   []int{2, 1},
	tiles:     [][]tile{{tile2x4}, {tile1x4}},
	rows:      128,
	depth:     256,
	columns:   512,
	copyRows:  copyRows,
	transpose: transpose8,
}

// tile2x4 is a tile of 2 packed rows and 4 columns.
func tile2x4(c []float32, ldc int, packedA []float32, _, _ int, packedB []float32, depth, last int, accumulate bool) {
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	for ; depth >= 8; depth -= 8 {
		a, b := (*[16]float32)(packedA), (*[32]float32)(packedB)
		c00 += a[0] * b[0]
		c10 += a[1] * b[0]
		c01 += a[0] * b[1]
		c11 += a[1] * b[1]
		c02 += a[0] * b[2]
		c12 += a[1] * b[2]
		c03 += a[0] * b[3]
		c13 += a[1] * b[3]
		c00 += a[2] * b[4]
		c10 += a[3] * b[4]
		c01 += a[2] * b[5]
		c11 += a[3] * b[5]
		c02 += a[2] * b[6]
		c12 += a[3] * b[6]
		c03 += a[2] * b[7]
		c13 += a[3] * b[7]
		c00 += a[4] * b[8]
		c10 += a[5] * b[8]
		c01 += a[4] * b[9]
		c11 += a[5] * b[9]
		c02 += a[4] * b[10]
		c12 += a[5] * b[10]
		c03 += a[4] * b[11]
		c13 += a[5] * b[11]
		c00 += a[6] * b[12]
		c10 += a[7] * b[12]
		c01 += a[6] * b[13]
		c11 += a[7] * b[13]
		c02 += a[6] * b[14]
		c12 += a[7] * b[14]
		c03 += a[6] * b[15]
		c13 += a[7] * b[15]
		c00 += a[8] * b[16]
		c10 += a[9] * b[16]
		c01 += a[8] * b[17]
		c11 += a[9] * b[17]
		c02 += a[8] * b[18]
		c12 += a[9] * b[18]
		c03 += a[8] * b[19]
		c13 += a[9] * b[19]
		c00 += a[10] * b[20]
		c10 += a[11] * b[20]
		c01 += a[10] * b[21]
		c11 += a[11] * b[21]
		c02 += a[10] * b[22]
		c12 += a[11] * b[22]
		c03 += a[10] * b[23]
		c13 += a[11] * b[23]
		c00 += a[12] * b[24]
		c10 += a[13] * b[24]
		c01 += a[12] * b[25]
		c11 += a[13] * b[25]
		c02 += a[12] * b[26]
		c12 += a[13] * b[26]
		c03 += a[12] * b[27]
		c13 += a[13] * b[27]
		c00 += a[14] * b[28]
		c10 += a[15] * b[28]
		c01 += a[14] * b[29]
		c11 += a[15] * b[29]
		c02 += a[14] * b[30]
		c12 += a[15] * b[30]
		c03 += a[14] * b[31]
		c13 += a[15] * b[31]
		packedA, packedB = packedA[16:], packedB[32:]
	}
	for ; depth >= 1; depth -= 1 {
		a, b := (*[2]float32)(packedA), (*[4]float32)(packedB)
		c00 += a[0] * b[0]
		c10 += a[1] * b[0]
		c01 += a[0] * b[1]
		c11 += a[1] * b[1]
		c02 += a[0] * b[2]
		c12 += a[1] * b[2]
		c03 += a[0] * b[3]
		c13 += a[1] * b[3]
		packedA, packedB = packedA[2:], packedB[4:]
	}
	put(c, c00, c01, c02, c03, last, accumulate)
	put(c[ldc:], c10, c11, c12, c13, last, accumulate)
}

// tile1x4 is a tile of 1 packed rows and 4 columns.
func tile1x4(c []float32, _ int, packedA []float32, _, _ int, packedB []float32, depth, last int, accumulate bool) {
	var c0, c1, c2, c3 float32
	for ; depth >= 8; depth -= 8 {
		a, b := (*[8]float32)(packedA), (*[32]float32)(packedB)
		c0 += a[0] * b[0]
		c1 += a[0] * b[1]
		c2 += a[0] * b[2]
		c3 += a[0] * b[3]
		c0 += a[1] * b[4]
		c1 += a[1] * b[5]
		c2 += a[1] * b[6]
		c3 += a[1] * b[7]
		c0 += a[2] * b[8]
		c1 += a[2] * b[9]
		c2 += a[2] * b[10]
		c3 += a[2] * b[11]
		c0 += a[3] * b[12]
		c1 += a[3] * b[13]
		c2 += a[3] * b[14]
		c3 += a[3] * b[15]
		c0 += a[4] * b[16]
		c1 += a[4] * b[17]
		c2 += a[4] * b[18]
		c3 += a[4] * b[19]
		c0 += a[5] * b[20]
		c1 += a[5] * b[21]
		c2 += a[5] * b[22]
		c3 += a[5] * b[23]
		c0 += a[6] * b[24]
		c1 += a[6] * b[25]
		c2 += a[6] * b[26]
		c3 += a[6] * b[27]
		c0 += a[7] * b[28]
		c1 += a[7] * b[29]
		c2 += a[7] * b[30]
		c3 += a[7] * b[31]
		packedA, packedB = packedA[8:], packedB[32:]
	}
	for ; depth >= 1; depth -= 1 {
		a, b := (*[1]float32)(packedA), (*[4]float32)(packedB)
		c0 += a[0] * b[0]
		c1 += a[0] * b[1]
		c2 += a[0] * b[2]
		c3 += a[0] * b[3]
		packedA, packedB = packedA[1:], packedB[4:]
	}
	put(c, c0, c1, c2, c3, last, accumulate)
}

// put writes a row of a tile, or adds it.
func put(c []float32, c0, c1, c2, c3 float32, last int, accumulate bool) {
	if last < 4 {
		putEdge(c[:last], [4]float32{c0, c1, c2, c3}, accumulate)
		return
	}
	row := (*[4]float32)(c)
	if accumulate {
		c0 += row[0]
		c1 += row[1]
		c2 += row[2]
		c3 += row[3]
	}
	*row = [4]float32{c0, c1, c2, c3}
}

// putEdge is put for fewer than 4 columns.
func putEdge(c []float32, sums [4]float32, accumulate bool) {
	for j := range c {
		if accumulate {
			sums[j] += c[j]
		}
		c[j] = sums[j]
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
