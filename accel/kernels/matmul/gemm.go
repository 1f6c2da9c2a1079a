package matmul

import (
	"fmt"

	"bittern/accel/kernels/isa"
	"bittern/accel/kernels/team"
)

// Multiplier computes products on a team.
type Multiplier struct {
	team    *team.Team
	kernel  *kernel
	scratch []Scratch
	product product
	share   func(worker int)
}

// product is the product that the workers are computing.
type product struct {
	c          []float32
	ldc        int
	accumulate bool
	m, n, k    int
	a, b       operand
	scales     scales // of B
}

// New returns a Multiplier of float32 that splits its products over t.
func New(t *team.Team) *Multiplier { return newMultiplier(t, forLevel(isa.Current())) }

// NewBFloat16 returns a Multiplier of bfloat16 that splits its products over t.
func NewBFloat16(t *team.Team) *Multiplier { return newMultiplier(t, forBFloat16(isa.BFloat16())) }

func newMultiplier(t *team.Team, k *kernel) *Multiplier {
	x := &Multiplier{team: t, kernel: k, scratch: make([]Scratch, t.Size())}
	x.share = x.part // made once, so that Gemm does not allocate
	return x
}

// Gemm computes C = op(A)·op(B), or C += op(A)·op(B) where accumulate is set. C is m×n,
// op(A) m×k and op(B) k×n. It must not be called during a run of the team, nor by two
// goroutines at once.
func (x *Multiplier) Gemm(c []float32, ldc int, accumulate, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int) error {
	return x.GemmScaled(c, ldc, accumulate, transA, transB, m, n, k, a, lda, b, ldb, nil)
}

// GemmScaled is Gemm with the scales of the stored rows of B, which a Multiplier of bfloat16 uses
// as [Packed.PackBFloat16] does. One of float32 needs none, and does not read them.
func (x *Multiplier) GemmScaled(c []float32, ldc int, accumulate, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, scale []float32) error {
	y := product{c: c, ldc: ldc, accumulate: accumulate, m: m, n: n, k: k, a: operand{a, lda, transA}, b: operand{b, ldb, transB}}
	if x.kernel.pairing != nil {
		y.scales = y.b.scales(scale)
	}
	for _, err := range [4]error{
		operand{c, ldc, false}.check("C", m, n), y.a.check("A", m, k), y.b.check("B", k, n), y.b.checkScale(scale, k, n),
	} {
		if err != nil {
			return fmt.Errorf("%w (in C %d×%d = op(A) %d×%d · op(B) %d×%d)", err, m, n, m, k, k, n)
		}
	}
	if m == 0 || n == 0 || k == 0 {
		empty(c, ldc, m, n, accumulate)
		return nil
	}
	x.product = y
	x.team.Run(x.share)
	x.product = product{}
	return nil
}

// part computes a worker's share: some columns of C, or some rows where C is taller than wide.
func (x *Multiplier) part(worker int) {
	y := x.product
	if y.m > y.n {
		from, to := x.team.Split(worker, y.m, x.kernel.heights[0])
		if from == to {
			return
		}
		y.m, y.c, y.a = to-from, y.c[from*y.ldc:], y.a.block(from, 0)
	} else {
		from, to := x.team.Split(worker, y.n, x.kernel.lanes)
		if from == to {
			return
		}
		y.n, y.c, y.b = to-from, y.c[from:], y.b.block(0, from)
		y.scales = y.scales.block(0, from)
	}
	x.scratch[worker].gemm(x.kernel, y)
}

// blockColumns returns how many of n columns are multiplied at a time: about k.columns. The
// blocks have equal widths, as A is packed anew for each of them.
func (k *kernel) blockColumns(n int) int {
	blocks := max(1, (n+k.columns/2)/k.columns)
	panels := (n + k.width() - 1) / k.width()
	return (panels + blocks - 1) / blocks * k.width()
}

// gemm computes y on one goroutine.
func (s *Scratch) gemm(k *kernel, y product) {
	width := k.blockColumns(y.n)
	for j := 0; j < y.n; j += width {
		columns := min(width, y.n-j)
		for p := 0; p < y.k; p += k.depth {
			depth := min(k.depth, y.k-p)
			block := y.scales.block(p, j)
			s.columns = grow(s.columns, k.stored(depth)*k.padded(columns))
			k.packColumns(s.columns, &s.spare, y.b.block(p, j), depth, columns, block)
			s.targets = append(s.targets[:0], target{y.c[j:], columns, panels{s.columns, k.stored(depth), 0, 0, block.columns}})
			s.multiply(k, s.targets, y.ldc, left{operand: y.a.block(0, p)}, y.m, depth, y.accumulate || p > 0, block.depth)
		}
	}
}

// empty computes a product in which a size is 0. If only the depth is 0, C becomes 0 unless
// accumulate is set.
func empty(c []float32, ldc, m, n int, accumulate bool) {
	if n == 0 || accumulate {
		return
	}
	for i := range m {
		clear(c[i*ldc:][:n])
	}
}
