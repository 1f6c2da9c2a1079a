package matmul

import "fmt"

// Scratch is the working memory of one worker. The zero value is ready for use. After the first
// product of a size it allocates no more memory.
type Scratch struct {
	rows    []float32 // packed rows of A
	columns []float32 // packed columns of B
	pairs   []float32 // of A, rounded
	spare   spare

	products []packedProduct
	targets  []target
}

// MultiplyPacked computes C = op(A)·P, or C += op(A)·P where accumulate is set. C is m×n and
// op(A) is m×k, with k and n those of p. Workers call it at the same time, each with its own
// Scratch and on its own part of C; they may share p.
func (s *Scratch) MultiplyPacked(c []float32, ldc int, a []float32, lda int, transA bool, m int, p *Packed, accumulate bool) error {
	s.products = append(s.products[:0], packedProduct{c, p})
	return s.multiplyPacked(ldc, left{operand: operand{a, lda, transA}}, m, accumulate)
}

// MultiplyEach computes C = op(A)·P for each matrix of c with the one of p in its place. It packs and
// rounds A once for all. All of p have as many rows, and A has no scales: if they are of bfloat16
// they were packed with transB or without scale.
func (s *Scratch) MultiplyEach(c [][]float32, ldc int, a []float32, lda int, transA bool, m int, p []Packed) error {
	s.products = s.products[:0]
	for i := range p {
		if p[i].k != p[0].k || p[i].kernel != p[0].kernel || p[i].scales.depth != nil {
			return fmt.Errorf("matmul: P %d×%d and P %d×%d cannot be multiplied by the same A", p[0].k, p[0].n, p[i].k, p[i].n)
		}
		s.products = append(s.products, packedProduct{c[i], &p[i]})
	}
	if len(p) == 0 {
		return nil
	}
	return s.multiplyPacked(ldc, left{operand: operand{a, lda, transA}}, m, false)
}

// packedProduct is a product with a packed right side.
type packedProduct struct {
	c []float32
	p *Packed
}

// MultiplyRounded is MultiplyPacked with m rows of A as they were rounded, and with p of bfloat16.
func (s *Scratch) MultiplyRounded(c []float32, ldc int, a *Rounded, m int, p *Packed, accumulate bool) error {
	if a.kernel != p.kernel {
		return fmt.Errorf("matmul: a rounded A %d×%d and P %d×%d that is packed for another arithmetic", a.m, a.k, p.k, p.n)
	}
	s.products = append(s.products[:0], packedProduct{c, p})
	return s.multiplyPacked(ldc, left{operand{a.data, a.kernel.stored(a.k), false}, true}, m, accumulate)
}

// left is the left side of a product: op(A), or its rows as they were rounded.
type left struct {
	operand
	rounded bool
}

// check returns an error unless op(A) has m rows and k columns.
func (a left) check(kernel *kernel, m, k int) error {
	if a.rounded {
		k = kernel.stored(k)
	}
	return a.operand.check("A", m, k)
}

// block returns a without its first i rows and p columns.
func (a left) block(k *kernel, i, p int) left {
	if a.rounded {
		p = k.stored(p)
	}
	return left{a.operand.block(i, p), a.rounded}
}

// multiplyPacked computes s.products.
func (s *Scratch) multiplyPacked(ldc int, a left, m int, accumulate bool) error {
	for _, y := range s.products {
		for _, err := range [2]error{
			operand{y.c, ldc, false}.check("C", m, y.p.n), a.check(y.p.kernel, m, y.p.k),
		} {
			if err != nil {
				return fmt.Errorf("%w (in C %d×%d = op(A) %d×%d · P %d×%d)", err, m, y.p.n, m, y.p.k, y.p.k, y.p.n)
			}
		}
		if m == 0 || y.p.n == 0 || y.p.k == 0 {
			empty(y.c, ldc, m, y.p.n, accumulate)
		}
	}
	first := s.products[0].p
	if m == 0 || first.k == 0 {
		return nil
	}
	k := first.kernel
	for from := 0; from < first.k; from += k.depth {
		depth := min(k.depth, first.k-from)
		s.targets = s.targets[:0]
		for _, y := range s.products {
			if y.p.n == 0 {
				continue
			}
			s.targets = append(s.targets, target{y.c, y.p.n, panels{y.p.data, k.stored(y.p.k), k.stored(from), y.p.ld, y.p.scales.columns}})
		}
		s.multiply(k, s.targets, ldc, a.block(k, 0, from), m, depth, accumulate || from > 0, first.scales.block(from, 0).depth)
	}
	return nil
}

// shallow is the depth up to which a product spends its time on writing C, which is quicker along its
// rows than panel by panel: at depth 1 twice as quick, beyond 16 no longer (Zen 5, 64×2048).
const shallow = 16

// target is a block of columns of C with those of B.
type target struct {
	c []float32
	n int
	b panels
}

// multiply computes C (+)= op(A)·B of each target, for m rows and one block of depth. Column p of A is
// multiplied by scale[p] where scale is not nil.
func (s *Scratch) multiply(k *kernel, targets []target, ldc int, a left, m, depth int, accumulate bool, scale []float32) {
	block := k.rows
	if depth <= shallow {
		block = k.heights[0]
	}
	stored := k.stored(depth)
	for i := 0; i < m; i += block {
		rows := min(block, m-i)
		x := a.block(k, i, 0).operand
		if k.pairing != nil && !a.rounded {
			x = s.pair(k, x, rows, depth, scale)
		}
		if !k.inPlace || x.transposed || m > k.rows && k.pairing == nil {
			s.rows = grow(s.rows, rows*stored)
			k.packRows(s.rows, x, rows, stored)
			x = operand{data: s.rows}
		}
		for _, t := range targets {
			k.multiply(t.c[i*ldc:], ldc, x.data, x.ld, t.b, rows, t.n, stored, accumulate)
		}
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
	k.pairing.rows(&s.spare.edge, s.pairs, stored, a.data, a.ld, m, depth, scale, factors{})
	return operand{s.pairs, stored, false}
}
