package vecmath

import "fmt"

// Transpose sets dst[j·ldd+i] = src[i·lds+j] for i < rows and j < cols: src is
// rows × cols, dst is cols × rows, and ldd and lds are the distances between
// their rows. dst and src must not overlap.
func Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	if ldd < rows || lds < cols || len(src) < (rows-1)*lds+cols || len(dst) < (cols-1)*ldd+rows {
		panic(fmt.Sprintf("vecmath: Transpose of %d×%d from %d elements with row distance %d into %d with %d",
			rows, cols, len(src), lds, len(dst), ldd))
	}
	active().transpose(dst, ldd, src, lds, rows, cols)
}
