package datapath

import (
	"bittern/accel/kernels/fixed"
	"bittern/accel/kernels/matmul"
)

// largestIn is the largest size of an activation.
const largestIn = 1 << (ActivationBits - 1)

// matVec: sum = W·x for all sequences of a group.
type matVec struct {
	x, sum    view
	weights   matrix
	packed    *matmul.Integers // the weights
	recurrent bool             // so are the weights
}

// multiplier is the working memory of products.
type multiplier struct {
	operand []int16
	product []int32
}

// pack packs a matrix for products with activations.
func pack(w matrix) *matmul.Integers {
	return matmul.PackIntegers(w.integers, w.rows, w.cols, largestIn)
}

func (i matVec) run(m *machine) error {
	rows, stride := i.sum.size, i.packed.Stride()
	m.operand = grow(m.operand, m.sequences*stride)
	m.product = grow(m.product, m.sequences*rows)
	for b := range m.sequences {
		fixed.Narrow(m.operand[b*stride:][:i.x.size], m.at(i.x, b))
	}
	sums := m.sums[i.sum.buffer][:m.sequences*rows]
	for block := range i.packed.Blocks() {
		i.packed.Multiply(m.product, m.operand, m.sequences, block)
		if block == 0 {
			fixed.Widen(sums, m.product)
		} else {
			fixed.Accumulate(sums, m.product)
		}
	}
	return nil
}

// grow returns n elements, in the memory of x if that is large enough.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}
