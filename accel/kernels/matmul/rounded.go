package matmul

import (
	"fmt"

	"bittern/accel/kernels/isa"
)

// Rounded is a matrix A, m×k, that is rounded once for products of bfloat16 with several matrices.
// Workers may each round some of its columns.
type Rounded struct {
	kernel *kernel
	m, k   int
	data   []float32
}

// NewRounded returns a matrix of zeros.
func NewRounded(m, k int) *Rounded { return newRounded(forBFloat16(isa.BFloat16()), m, k) }

func newRounded(kernel *kernel, m, k int) *Rounded {
	return &Rounded{kernel, m, k, make([]float32, m*kernel.stored(k))}
}

// Round sets the columns from ≤ p < to of a's first rows to those of x, whose rows are ldx apart. Column
// p is multiplied by scale[p] before, if scale is not nil: a matrix that was packed with the scales of
// its rows needs them here. from must be even, and so must to if it is not k.
func (s *Scratch) Round(a *Rounded, from, to int, x []float32, ldx, rows int, scale []float32) error {
	if from < 0 || to < from || to > a.k || from%2 != 0 || to%2 != 0 && to != a.k || rows > a.m {
		return fmt.Errorf("matmul: %d rows of the columns from %d to %d cannot be rounded for A %d×%d", rows, from, to, a.m, a.k)
	}
	if from == to {
		return nil
	}
	if err := (operand{x, ldx, false}).check("A", rows, to); err != nil {
		return err
	}
	if scale != nil {
		scale = scale[from:to]
	}
	p := a.kernel.pairing
	p.rows(&s.spare.edge, a.data[a.kernel.stored(from):], a.kernel.stored(a.k), x[from:], ldx, rows, to-from, scale, factors{})
	return nil
}
