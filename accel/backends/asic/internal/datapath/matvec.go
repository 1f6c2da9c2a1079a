package datapath

import (
	"bittern/accel/kernels/fixed"
	"bittern/accel/kernels/matmul"
)

// Products of integers are computed by the float32 kernels. A float32 holds every integer up to
// 2²⁴, so a sum is exact in any order if the sizes of its terms add up to no more than that. To
// keep within it, weights of 12 bits are cut into two pieces of 6 bits, and the columns into blocks.
const (
	exact      = 1 << 24
	pieceShift = 6
	largestIn  = 1 << (ActivationBits - 1)
)

// matVec: sum = W·x for all sequences of a group.
type matVec struct {
	x, sum    view
	weights   matrix
	pieces    []piece // of the weights
	recurrent bool    // so are the weights
}

// piece is some of the bits of the weights in a block of columns of W.
type piece struct {
	from   int // the first column
	shift  int // a number of the piece counts 2^shift
	matrix *matmul.Packed
}

// multiplier is the working memory of products.
type multiplier struct {
	operand, product []float32
	scratch          matmul.Scratch
}

// cut packs a matrix piece by piece.
func cut(w matrix) []piece {
	var pieces []piece
	shifts, largestPiece := []int{0}, 1
	if w.width == TwelveBit {
		shifts, largestPiece = []int{0, pieceShift}, 1<<(pieceShift-1)
	}
	depth := exact / largestIn / largestPiece
	values := make([]float32, len(w.integers))
	for _, shift := range shifts {
		for k, integer := range w.integers {
			values[k] = float32(bitsOf(int(integer), shift, len(shifts) > 1))
		}
		for from := 0; from < w.cols; from += depth {
			packed := new(matmul.Packed)
			if err := packed.Pack(values[from:], w.cols, true, min(depth, w.cols-from), w.rows); err != nil {
				panic(err) // a fault of this package: the matrix was validated
			}
			pieces = append(pieces, piece{from, shift, packed})
		}
	}
	return pieces
}

// bitsOf returns the piece of an integer at a shift. The pieces are from −32 to 32, and their sum,
// each times 2^shift, is the integer.
func bitsOf(integer, shift int, cut bool) int {
	if !cut {
		return integer
	}
	low := (integer+1<<(pieceShift-1))&(1<<pieceShift-1) - 1<<(pieceShift-1)
	if shift == 0 {
		return low
	}
	return (integer - low) >> pieceShift
}

func (i matVec) run(m *machine) error {
	rows, cols := i.sum.size, i.x.size
	m.operand = grow(m.operand, m.sequences*cols)
	m.product = grow(m.product, m.sequences*rows)
	for b := range m.sequences {
		fixed.Floats(m.operand[b*cols:][:cols], m.at(i.x, b))
	}
	sums := m.sums[i.sum.buffer][:m.sequences*rows]
	for n, p := range i.pieces {
		err := m.scratch.MultiplyPacked(m.product, rows, m.operand[p.from:], cols, false, m.sequences, p.matrix, false)
		if err != nil {
			return err
		}
		if unit := float64(int(1) << p.shift); n == 0 {
			fixed.Widen(sums, m.product, unit)
		} else {
			fixed.Accumulate(sums, m.product, unit)
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
