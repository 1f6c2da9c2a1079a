// Package matmul multiplies single-precision matrices and sums in single precision, and multiplies
// matrices of whole numbers exactly; see [Integers].
//
// Matrices are row-major with a leading dimension: element (i, j) of an m×n
// matrix x is x[i*ldx+j] with ldx ≥ n, and x ends no earlier than its last element.
// op(X) is X or its transpose; the leading dimension is always that of X as it
// is stored.
//
// A [Multiplier] computes a whole product on a team of workers. A [Packed] matrix with a
// [Scratch] is for the recurrent sweep, where each worker multiplies by the same weights at
// every time step: the weights are packed once, in the order in which the kernel reads
// them, and used until they change.
//
// An element of C is the sum of its k products in order of depth, cut into blocks whose
// length depends on nothing but the level: neither the number of workers nor the
// split of rows and columns among them changes a bit of it. AVX2 and AVX-512, which both
// round once per multiply-add, agree to the bit.
//
// Products of bfloat16 round their operands to bfloat16 before: those of [NewBFloat16] and of
// [Packed.PackBFloat16]. They have the same bits at every level.
package matmul

import "fmt"

// operand is op(X), given the stored X.
type operand struct {
	data       []float32
	ld         int
	transposed bool
}

// from returns the stored elements from element (i, j) of op(X) on.
func (x operand) from(i, j int) []float32 {
	if x.transposed {
		i, j = j, i
	}
	return x.data[i*x.ld+j:]
}

// block returns op(X) without its first i rows and j columns.
func (x operand) block(i, j int) operand {
	return operand{x.from(i, j), x.ld, x.transposed}
}

// check returns an error unless op(X) of rows×columns lies within its slice.
func (x operand) check(name string, rows, columns int) error {
	if rows < 0 || columns < 0 {
		return fmt.Errorf("matmul: %s is %d×%d: a size must not be negative", name, rows, columns)
	}
	if rows == 0 || columns == 0 {
		return nil
	}
	how := ""
	if x.transposed {
		rows, columns = columns, rows
		how = " as stored"
	}
	if x.ld < columns {
		return fmt.Errorf("matmul: %s%s is %d×%d but its leading dimension is %d: it must be %d or more", name, how, rows, columns, x.ld, columns)
	}
	// This way no product can overflow.
	if len(x.data) < columns || (len(x.data)-columns)/x.ld < rows-1 {
		return fmt.Errorf("matmul: %s%s is %d×%d with leading dimension %d but its slice has %d elements", name, how, rows, columns, x.ld, len(x.data))
	}
	return nil
}

// grow returns a slice of n elements. It reuses the memory of x if that is large enough.
func grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// scales are those of the stored rows of B: of its columns if B is transposed, else of the
// depth. Where B has none both are nil.
type scales struct{ columns, depth []float32 }

func (x operand) scales(scale []float32) scales {
	if x.transposed {
		return scales{columns: scale}
	}
	return scales{depth: scale}
}

// block returns the scales of B without its first i rows and j columns.
func (s scales) block(i, j int) scales {
	if s.depth != nil {
		s.depth = s.depth[i:]
	}
	if s.columns != nil {
		s.columns = s.columns[j:]
	}
	return s
}

// checkScale returns an error unless op(X), rows×columns, has no scale or one for each stored row.
func (x operand) checkScale(scale []float32, rows, columns int) error {
	if x.transposed {
		rows = columns
	}
	if scale != nil && len(scale) < rows {
		return fmt.Errorf("matmul: B as stored has %d rows and %d scales", rows, len(scale))
	}
	return nil
}
