package matmul

import "fmt"

// Scratch is the working memory of one worker. The zero value is ready for use. After the first
// product of a size it allocates no more memory.
type Scratch struct {
	rows    []float32 // packed rows of A
	columns []float32 // packed columns of B
	pairs   []float32 // of A, rounded
	spare   spare
}

// MultiplyPacked computes C = op(A)·P, or C += op(A)·P where accumulate is set. C is m×n and
// op(A) is m×k, with k and n those of p. Workers call it at the same time, each with its own
// Scratch and on its own part of C; they may share p.
func (s *Scratch) MultiplyPacked(c []float32, ldc int, a []float32, lda int, transA bool, m int, p *Packed, accumulate bool) error {
	left := operand{a, lda, transA}
	for _, err := range [2]error{
		operand{c, ldc, false}.check("C", m, p.n), left.check("A", m, p.k),
	} {
		if err != nil {
			return fmt.Errorf("%w (in C %d×%d = op(A) %d×%d · P %d×%d)", err, m, p.n, m, p.k, p.k, p.n)
		}
	}
	if m == 0 || p.n == 0 || p.k == 0 {
		empty(c, ldc, m, p.n, accumulate)
		return nil
	}
	for first := 0; first < p.k; first += p.kernel.depth {
		depth := min(p.kernel.depth, p.k-first)
		packed := panels{p.data, p.kernel.stored(p.k), p.kernel.stored(first), p.scales.columns}
		s.multiply(p.kernel, c, ldc, left.block(0, first), packed, m, p.n, depth, accumulate || first > 0, p.scales.block(first, 0).depth)
	}
	return nil
}

// shallow is the depth up to which a product spends its time on writing C, which is quicker along its
// rows than panel by panel: at depth 1 twice as quick, beyond 16 no longer (Zen 5, 64×2048).
const shallow = 16

// multiply computes C (+)= op(A)·P for m rows, n columns and one block of depth. Column p of A is
// multiplied by scale[p] where scale is not nil.
func (s *Scratch) multiply(k *kernel, c []float32, ldc int, a operand, b panels, m, n, depth int, accumulate bool, scale []float32) {
	block := k.rows
	if depth <= shallow {
		block = k.heights[0]
	}
	stored := k.stored(depth)
	for i := 0; i < m; i += block {
		rows := min(block, m-i)
		left := a.block(i, 0)
		if k.pairing != nil {
			left = s.pair(k, left, rows, depth, scale)
		}
		if k.inPlace && !left.transposed && (m <= k.rows || k.pairing != nil) {
			k.multiply(c[i*ldc:], ldc, left.data, left.ld, b, rows, n, stored, accumulate)
			continue
		}
		s.rows = grow(s.rows, rows*stored)
		k.packRows(s.rows, left, rows, stored)
		k.multiply(c[i*ldc:], ldc, s.rows, 0, b, rows, n, stored, accumulate)
	}
}

// pair returns op(A), m×depth, rounded. Column p is multiplied by scale[p] where scale is not nil.
func (s *Scratch) pair(k *kernel, a operand, m, depth int, scale []float32) operand {
	stored := k.stored(depth)
	s.pairs = grow(s.pairs, m*stored)
	if a.transposed {
		k.pairing.columns(&s.spare.edge, s.pairs, m, a.data, a.ld, m, depth, factors{scale: scale})
		return operand{s.pairs, m, true}
	}
	k.pairing.rows(&s.spare.edge, s.pairs, a.data, a.ld, m, depth, scale, factors{})
	return operand{s.pairs, stored, false}
}
