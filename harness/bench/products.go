package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
)

// product is count matrix products [m,k]·[k,n]. A transposed side is stored transposed. If
// reused is set, the right side is the same each time, as recurrent weights are at all time
// steps.
type product struct {
	m, n, k        int
	transA, transB bool
	count          int
	reused         bool
}

func (p product) name() string {
	side := func(transposed bool) string {
		if transposed {
			return "t"
		}
		return "n"
	}
	return fmt.Sprintf("%dx%dx%d-%s%s", p.m, p.k, p.n, side(p.transA), side(p.transB))
}

// argument returns the product as an argument of pytorch.py.
func (p product) argument() string {
	name := p.name()
	return fmt.Sprintf("%d,%d,%d,%s,%d", p.m, p.n, p.k, name[len(name)-2:], p.count)
}

// operations returns the number of multiplications and additions.
func (p product) operations() float64 {
	return 2 * float64(p.m) * float64(p.n) * float64(p.k) * float64(p.count)
}

// operands is the memory that a product works on.
type operands struct {
	product
	a, b, c    []float32
	lda, ldb   int
	multiplier *matmul.Multiplier
	packed     []matmul.Packed  // one for each worker, if the right side is reused
	scratch    []matmul.Scratch // one for each worker
}

func newOperands(p product, t *team.Team, multiplier *matmul.Multiplier) *operands {
	random := rand.New(rand.NewPCG(1, uint64(p.m*p.n*p.k)))
	fill := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = random.Float32() - 0.5
		}
		return x
	}
	o := &operands{product: p, a: fill(p.m * p.k), b: fill(p.k * p.n), c: make([]float32, p.m*p.n), lda: p.k, ldb: p.n, multiplier: multiplier}
	if p.transA {
		o.lda = p.m
	}
	if p.transB {
		o.ldb = p.k
	}
	o.packed, o.scratch = make([]matmul.Packed, t.Size()), make([]matmul.Scratch, t.Size())
	return o
}

// run computes the product count times. If the right side is reused, it is packed once and its
// columns are divided among the workers.
func (o *operands) run(t *team.Team) error {
	if !o.reused {
		for range o.count {
			if err := o.multiplier.Gemm(o.c, o.n, false, o.transA, o.transB, o.m, o.n, o.k, o.a, o.lda, o.b, o.ldb); err != nil {
				return err
			}
		}
		return nil
	}
	faults := make([]error, t.Size())
	t.Run(func(worker int) {
		from, to := t.Split(worker, o.n, 16)
		b := o.b[from:]
		if o.transB {
			b = o.b[from*o.ldb:]
		}
		if faults[worker] = o.packed[worker].Pack(b, o.ldb, o.transB, o.k, to-from); faults[worker] != nil {
			return
		}
		for range o.count {
			if faults[worker] = o.scratch[worker].MultiplyPacked(o.c[from:], o.n, o.a, o.lda, o.transA, o.m, &o.packed[worker], false); faults[worker] != nil {
				return
			}
		}
	})
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

// prepared has products and their operands, ready to be timed.
type prepared struct {
	team     *team.Team
	operands []*operands
}

func (b *Bench) prepare(products []product) *prepared {
	p := &prepared{team: team.New(b.Threads)}
	multiplier := matmul.New(p.team)
	for _, one := range products {
		p.operands = append(p.operands, newOperands(one, p.team, multiplier))
	}
	return p
}

// run computes every product.
func (p *prepared) run() error {
	for _, o := range p.operands {
		if err := o.run(p.team); err != nil {
			return err
		}
	}
	return nil
}

func (p *prepared) close() { p.team.Close() }

// alone returns the products as a contestant, computed by our kernels one after another.
func (b *Bench) alone(products []product) *contestant {
	p := b.prepare(products)
	return &contestant{
		who:   "bittern",
		turn:  timed(p.run),
		close: func() error { p.close(); return nil },
	}
}

// timeProducts times the products with our kernels and with OpenBLAS.
func (b *Bench) timeProducts(ctx context.Context, products []product) (ours, theirs Sample, reason string, err error) {
	peer, reason, err := b.openBLAS(ctx, products)
	if err != nil {
		return ours, theirs, "", err
	}
	own := b.alone(products)
	defer closeAll(&err, own, peer)
	samples, err := b.inTurn(ctx, own, peer)
	if err != nil {
		return ours, theirs, "", err
	}
	return samples[0], samples[1], reason, nil
}

// openBLAS returns the products as a contestant that computes them with OpenBLAS.
func (b *Bench) openBLAS(ctx context.Context, products []product) (*contestant, string, error) {
	arguments := []string{"products", "--threads", strconv.Itoa(b.Threads)}
	for _, p := range products {
		arguments = append(arguments, p.argument())
	}
	return b.Peers.torch(ctx, arguments...)
}

// matrixProducts returns the shapes for which our kernels are compared with OpenBLAS: a time
// step at 512 and 1000 units, the gradient of the weights, a square, and sizes that are no
// multiple of a vector.
func matrixProducts() []product {
	var all []product
	for _, shape := range [][3]int{{64, 512, 2048}, {64, 1000, 4000}, {2048, 2048, 2048}, {61, 509, 2039}, {127, 1003, 701}} {
		for _, transA := range []bool{false, true} {
			for _, transB := range []bool{false, true} {
				all = append(all, product{m: shape[0], k: shape[1], n: shape[2], transA: transA, transB: transB, count: 1})
			}
		}
	}
	// The gradient of the weights: dWᵀ = Hᵀ·dA over 6400 symbols.
	return append(all, product{m: 512, k: 6400, n: 2048, transA: true, count: 1})
}

func (b *Bench) matrixLines(ctx context.Context) ([]Line, error) {
	var lines []Line
	for _, p := range matrixProducts() {
		name := "MatrixProduct/" + p.name()
		if !b.wants(name) {
			continue
		}
		p.count = max(1, int(1e10/p.operations())) // a run takes tens of milliseconds, of which cores that were asleep need the first few to wake up
		ours, theirs, reason, err := b.timeProducts(ctx, []product{p})
		if err != nil {
			return nil, err
		}
		line := newLine(name, each(ours, p.count))
		line.compare(openBLAS, each(theirs, p.count), reason)
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}
