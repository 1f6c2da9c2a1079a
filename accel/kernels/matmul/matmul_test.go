package matmul

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
	"bittern/accel/kernels/team"
)

// shape is one product C (+)= op(A)·op(B), with padding added to each leading dimension.
type shape struct {
	m, n, k                    int
	transA, transB, accumulate bool
	padding                    int
}

func (s shape) String() string {
	mark := func(set bool, text string) string {
		if set {
			return text
		}
		return ""
	}
	return fmt.Sprintf("%dx%dx%d%s%s%s+%d", s.m, s.k, s.n, mark(s.transA, "_At"), mark(s.transB, "_Bt"), mark(s.accumulate, "_add"), s.padding)
}

// guarded is a matrix whose padding holds canaries: one that is read into a product shows in it, as NaN,
// one that is written over shows as missing.
type guarded struct {
	data              []float32
	rows, columns, ld int
}

func newGuarded(random *rand.Rand, rows, columns, padding int) guarded {
	ld := columns + padding
	size := 0
	if rows > 0 && columns > 0 {
		size = (rows-1)*ld + columns
	}
	x := guarded{make([]float32, size), rows, columns, ld}
	guard.Fill(x.data)
	for i := range rows {
		for j := range columns {
			x.data[i*ld+j] = float32(random.NormFloat64())
		}
	}
	return x
}

// fenced is a copy of x that ends at a page that must not be touched.
func (x guarded) fenced(t *testing.T) guarded {
	t.Helper()
	data := guard.Floats(t, len(x.data))
	copy(data, x.data)
	x.data = data
	return x
}

// intact returns an error when an element of the padding has changed.
func (x guarded) intact(name string) error {
	for i := 0; i < x.rows-1 && x.columns > 0; i++ {
		if at := guard.Changed(x.data[i*x.ld+x.columns : (i+1)*x.ld]); at >= 0 {
			return fmt.Errorf("%s (%d×%d, leading dimension %d): element %d behind row %d was written", name, x.rows, x.columns, x.ld, at, i)
		}
	}
	return nil
}

func (x guarded) at(i, j int, transposed bool) float64 {
	if transposed {
		i, j = j, i
	}
	return float64(x.data[i*x.ld+j])
}

// problem is a product with its answer in float64, and a bound on the error of each element.
type problem struct {
	shape
	a, b, c     guarded
	want, bound []float64
}

func newProblem(s shape, round func(float32) float32) *problem {
	random := rand.New(rand.NewPCG(uint64(s.m)<<32|uint64(s.n), uint64(s.k)))
	p := &problem{shape: s}
	sized := func(rows, columns int, transposed bool) guarded {
		if transposed {
			rows, columns = columns, rows
		}
		return newGuarded(random, rows, columns, s.padding)
	}
	p.a, p.b, p.c = sized(s.m, s.k, s.transA), sized(s.k, s.n, s.transB), sized(s.m, s.n, false)
	for _, x := range []guarded{p.a, p.b} {
		for i := range x.rows {
			for j := range x.columns {
				x.data[i*x.ld+j] = round(x.data[i*x.ld+j])
			}
		}
	}
	if !s.accumulate {
		for i := range s.m {
			for j := range s.n {
				p.c.data[i*p.c.ld+j] = float32(math.NaN()) // to be overwritten, not read
			}
		}
	}
	p.want, p.bound = make([]float64, s.m*s.n), make([]float64, s.m*s.n)
	for i := range s.m {
		for j := range s.n {
			sum, size := 0.0, 0.0
			if s.accumulate {
				sum = p.c.at(i, j, false)
				size = math.Abs(sum)
			}
			for q := range s.k {
				term := p.a.at(i, q, s.transA) * p.b.at(q, j, s.transB)
				sum += term
				size += math.Abs(term)
			}
			p.want[i*s.n+j] = sum
			// Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., eq. 3.5: γₙ times the sum of
			// magnitudes, with n = k products and one addition per block, unit roundoff 2⁻²⁴.
			p.bound[i*s.n+j] = float64(s.k+s.k/64+2) * 0x1p-24 * size
		}
	}
	return p
}

// check holds C against the answer, and every guard.
func (p *problem) check(t *testing.T) {
	t.Helper()
	for i := range p.m {
		for j := range p.n {
			got, want := p.c.at(i, j, false), p.want[i*p.n+j]
			if !(math.Abs(got-want) <= p.bound[i*p.n+j]) {
				t.Fatalf("C[%d][%d]: got %v, want %v ± %.2g", i, j, got, want, p.bound[i*p.n+j])
			}
		}
	}
	for _, err := range []error{p.a.intact("A"), p.b.intact("B"), p.c.intact("C")} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// problems are those of shapes, worked out once for all tests, and roundedProblems are some of them
// with operands that are bfloat16. Of these, TestBFloat16LevelsAgree sees more.
var (
	problems = sync.OnceValue(func() []*problem {
		return problemsOf(1, func(v float32) float32 { return v })
	})
	roundedProblems = sync.OnceValue(func() []*problem { return problemsOf(3, rounded) })
)

// problemsOf are those of every third shape if every is 3.
func problemsOf(every int, round func(float32) float32) []*problem {
	var list []*problem
	for i, s := range shapes() {
		if i%every == 0 {
			list = append(list, newProblem(s, round))
		}
	}
	return list
}

// rounded is v rounded to bfloat16.
func rounded(v float32) float32 { return math.Float32frombits(roundBFloat16(v) << 16) }

// again is p with matrices of its own, among what must not be touched.
func (p *problem) again(t *testing.T) *problem {
	t.Helper()
	return &problem{p.shape, p.a.fenced(t), p.b.fenced(t), p.c.fenced(t), p.want, p.bound}
}

// shapes are all transposes of sizes around the edges of tiles, vectors, panels and blocks.
func shapes() []shape {
	sizes := [][3]int{
		{0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {0, 0, 0}, {1, 1, 1}, {1, 17, 5}, {3, 2, 9}, {7, 15, 8}, {8, 16, 7}, {9, 33, 17},
		{6, 48, 31}, {13, 49, 64}, {8, 47, 8}, {15, 31, 63}, {12, 64, 1}, {20, 97, 40}, {64, 100, 33}, {31, 24, 130},
		{130, 63, 257}, {261, 50, 9}, {5, 1100, 3}, {64, 96, 600}, {257, 11, 520},
	}
	var list []shape
	for n, size := range sizes {
		for mode := range 8 {
			list = append(list, shape{size[0], size[1], size[2], mode&1 != 0, mode&2 != 0, mode&4 != 0, (n + mode) % 3 * 8})
		}
	}
	random := rand.New(rand.NewPCG(2019, 1))
	for range 150 {
		size := func(most int) int { return int(math.Pow(float64(most), random.Float64())) }
		list = append(list, shape{size(150), size(300), size(400), random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(20)})
	}
	return list
}

// variant is a kernel with its name.
type variant struct {
	name   string
	kernel *kernel
}

func (v variant) String() string { return v.name }

// variants are the kernels of both arithmetics that this machine has.
func variants() []variant {
	var list []variant
	for _, level := range isa.Available() {
		list = append(list, variant{level.String(), forLevel(level)})
	}
	for _, level := range isa.AvailableBFloat16() {
		if v := (variant{"bfloat16 " + level.String(), forBFloat16(level)}); v.kernel != list[len(list)-1].kernel {
			list = append(list, v)
		}
	}
	return list
}

// problems are the products that the variant is tested with.
func (v variant) problems() []*problem {
	if v.kernel.pairing != nil {
		return roundedProblems()
	}
	return problems()
}

func TestGemm(t *testing.T) {
	t.Parallel()
	for _, one := range variants() {
		for workers := 1; workers <= 3; workers++ {
			t.Run(fmt.Sprintf("%v/%d", one, workers), func(t *testing.T) {
				t.Parallel()
				workers := team.New(workers)
				defer workers.Close()
				x := newMultiplier(workers, one.kernel)
				for _, p := range one.problems() {
					t.Run(p.String(), func(t *testing.T) {
						p, s := p.again(t), p.shape
						err := x.Gemm(p.c.data, p.c.ld, s.accumulate, s.transA, s.transB, s.m, s.n, s.k, p.a.data, p.a.ld, p.b.data, p.b.ld)
						if err != nil {
							t.Fatal(err)
						}
						p.check(t)
					})
				}
			})
		}
	}
}

func TestMultiplyPacked(t *testing.T) {
	t.Parallel()
	for _, one := range variants() {
		t.Run(one.String(), func(t *testing.T) {
			t.Parallel()
			var packed Packed
			var scratch Scratch
			for _, p := range one.problems() {
				t.Run(p.String(), func(t *testing.T) {
					p, s := p.again(t), p.shape
					if err := packed.pack(one.kernel, p.b.data, p.b.ld, s.transB, s.k, s.n, nil); err != nil {
						t.Fatal(err)
					}
					if err := scratch.MultiplyPacked(p.c.data, p.c.ld, p.a.data, p.a.ld, s.transA, s.m, &packed, s.accumulate); err != nil {
						t.Fatal(err)
					}
					p.check(t)
				})
			}
		})
	}
}

// TestBorrowedEqualsPacked holds that a matrix read where it lies gives the bits of the packed one,
// whatever lies between its rows, and that a matrix whose last row ends the slice is packed.
func TestBorrowedEqualsPacked(t *testing.T) {
	t.Parallel()
	const m, k = 21, 530
	for _, one := range variants() {
		for _, n := range []int{1, 16, 48, 61, 112} {
			p := newProblem(shape{m: m, n: 128, k: k}, rounded)
			product := func(fill func(*Packed) error) []float32 {
				var packed Packed
				c := make([]float32, m*n)
				if err := errors.Join(fill(&packed), new(Scratch).MultiplyPacked(c, n, p.a.data, p.a.ld, false, m, &packed, false)); err != nil {
					t.Fatal(err)
				}
				return c
			}
			ld, b := p.b.ld, p.b.data
			want := product(func(x *Packed) error { return x.pack(one.kernel, b, ld, false, k, n, nil) })
			for name, b := range map[string][]float32{"within more": b, "at the end": slices.Clip(b[:(k-1)*ld+n])} {
				if got := product(func(x *Packed) error { return x.borrow(one.kernel, b, ld, k, n) }); !slices.Equal(got, want) {
					t.Errorf("%v, %d columns %s: the borrowed matrix gives other bits than the packed one", one, n, name)
				}
			}
			// It follows B if and only if it is read where it lies.
			var x Packed
			if err := x.borrow(one.kernel, b, ld, k, n); err != nil {
				t.Fatal(err)
			}
			if borrowed, can := x.ld > 0, one.kernel.full != nil && one.kernel.pairing == nil; borrowed != can {
				t.Errorf("%v, %d columns: borrowed %v, want %v", one, n, borrowed, can)
			}
		}
	}
}

// TestSplitChangesNothing holds an element's bits fixed while the split of the product and the rows
// and columns beside it change.
func TestSplitChangesNothing(t *testing.T) {
	t.Parallel()
	s := shape{m: 67, n: 211, k: 1300}
	for _, one := range variants() {
		t.Run(one.String(), func(t *testing.T) {
			t.Parallel()
			p := newProblem(s, rounded)
			product := func(workers int) []float32 {
				workTeam := team.New(workers)
				defer workTeam.Close()
				c := make([]float32, s.m*s.n)
				if err := newMultiplier(workTeam, one.kernel).Gemm(c, s.n, false, false, false, s.m, s.n, s.k, p.a.data, p.a.ld, p.b.data, p.b.ld); err != nil {
					t.Fatal(err)
				}
				return c
			}
			want := product(1)
			for _, workers := range []int{1, 2, 3, 5} {
				if got := product(workers); !slices.Equal(got, want) {
					t.Errorf("%d workers: other bits than one worker", workers)
				}
			}
			const from = 29
			var packed Packed
			if err := packed.pack(one.kernel, p.b.data[from:], p.b.ld, false, s.k, s.n-from, nil); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, s.m*s.n)
			for i := range s.m {
				copy(got[i*s.n:], want[i*s.n:][:from])
			}
			if err := new(Scratch).MultiplyPacked(got[from:], s.n, p.a.data, p.a.ld, false, s.m, &packed, false); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("columns from %d on alone, packed: other bits than within the whole", from)
			}
		})
	}
}

// TestVectorLevelsAgree holds what the package says of AVX2 and AVX-512: the same bits.
func TestVectorLevelsAgree(t *testing.T) {
	t.Parallel()
	if isa.Detected() < isa.AVX512 {
		t.Skip("skipped the comparison of AVX2 and AVX-512: this machine lacks one of them")
	}
	workers := team.New(2)
	defer workers.Close()
	two, one := newMultiplier(workers, forLevel(isa.AVX2)), newMultiplier(workers, forLevel(isa.AVX512))
	for _, p := range problems() {
		got, want := p.again(t), p.again(t)
		for _, side := range []struct {
			x *Multiplier
			p *problem
		}{{two, got}, {one, want}} {
			if err := side.x.Gemm(side.p.c.data, p.c.ld, p.accumulate, p.transA, p.transB, p.m, p.n, p.k, p.a.data, p.a.ld, p.b.data, p.b.ld); err != nil {
				t.Fatal(err)
			}
		}
		for i := range p.m {
			for j := range p.n {
				if got, want := got.c.at(i, j, false), want.c.at(i, j, false); got != want {
					t.Fatalf("%v: C[%d][%d]: got %v of AVX2, want %v as of AVX-512", p, i, j, got, want)
				}
			}
		}
	}
}

// TestPackPadsWithZeros packs few columns into memory that was full: what is left in the padding would meet
// every row of A, and denormal numbers there cost time.
func TestPackPadsWithZeros(t *testing.T) {
	t.Parallel()
	const k, n = 11, 5
	for _, one := range variants() {
		for _, transposed := range []bool{false, true} {
			var p Packed
			ones := slices.Repeat([]float32{1}, k*100)
			if err := p.pack(one.kernel, ones, 100, false, k, 100, nil); err != nil {
				t.Fatal(err)
			}
			if err := p.pack(one.kernel, ones, 100, transposed, k, n, nil); err != nil {
				t.Fatal(err)
			}
			var sum float32
			for _, v := range p.data {
				if one.kernel.pairing != nil && one.kernel.pairing.floats == 1 {
					low, high := halves(v)
					v = low + high
				}
				sum += v
			}
			if sum != k*n {
				t.Errorf("%v, transposed %v: the packed ones of %d×%d sum to %v, want %d", one, transposed, k, n, sum, k*n)
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	workers := team.New(2)
	defer workers.Close()
	for _, one := range variants() {
		x := newMultiplier(workers, one.kernel)
		packed, scratch := new(Packed), new(Scratch)
		for _, s := range []shape{{m: 70, n: 90, k: 300}, {m: 33, n: 200, k: 80, transA: true, transB: true}} {
			p := newProblem(s, rounded)
			allocs := testing.AllocsPerRun(5, func() {
				err := x.Gemm(p.c.data, p.c.ld, false, s.transA, s.transB, s.m, s.n, s.k, p.a.data, p.a.ld, p.b.data, p.b.ld)
				if err == nil {
					err = packed.pack(one.kernel, p.b.data, p.b.ld, s.transB, s.k, s.n, nil)
				}
				if err == nil {
					err = scratch.MultiplyPacked(p.c.data, p.c.ld, p.a.data, p.a.ld, s.transA, s.m, packed, false)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v %v: got %v allocations, want 0", one, s, allocs)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	workers := team.New(1)
	defer workers.Close()
	x := New(workers)
	data := make([]float32, 100)
	gemm := func(ldc, lda, ldb int, transA bool, m, n, k, lengthA int) error {
		return x.Gemm(data, ldc, false, transA, false, m, n, k, data[:lengthA], lda, data, ldb)
	}
	packed := new(Packed)
	if err := packed.Pack(data, 5, false, 4, 5); err != nil {
		t.Fatal(err)
	}
	multiply := func(lengthC, m int) error {
		return new(Scratch).MultiplyPacked(data[:lengthC], 5, data, 4, false, m, packed, false)
	}
	huge := math.MaxInt / 2
	for _, test := range []struct {
		name string
		err  error
		says []string
	}{
		{"short A", gemm(5, 4, 5, false, 3, 5, 4, 11), []string{"A is 3×4 with leading dimension 4", "11 elements", "C 3×5 = op(A) 3×4 · op(B) 4×5"}},
		{"short transposed A", gemm(5, 3, 5, true, 3, 5, 4, 11), []string{"A as stored is 4×3", "11 elements"}},
		{"lda", gemm(5, 3, 5, false, 3, 5, 4, 100), []string{"A is 3×4 but its leading dimension is 3: it must be 4 or more"}},
		{"ldb", gemm(5, 4, 4, false, 3, 5, 4, 100), []string{"B is 4×5 but its leading dimension is 4"}},
		{"ldc", gemm(0, 4, 5, false, 3, 5, 4, 100), []string{"C is 3×5 but its leading dimension is 0"}},
		{"negative", gemm(5, 4, 5, false, -3, 5, 4, 100), []string{"C is -3×5: a size must not be negative"}},
		{"overflow", gemm(huge, huge, huge, false, 3, 5, 4, 100), []string{"C is 3×5", "100 elements"}},
		{"short C", multiply(14, 3), []string{"C is 3×5", "14 elements", "C 3×5 = op(A) 3×4 · P 4×5"}},
		{"short B", new(Packed).Pack(data[:19], 5, false, 4, 5), []string{"B is 4×5", "19 elements"}},
	} {
		if test.err == nil {
			t.Errorf("%s: got no error, want one that says %q", test.name, test.says)
			continue
		}
		for _, says := range test.says {
			if !strings.Contains(test.err.Error(), says) {
				t.Errorf("%s: got %q, want it to say %q", test.name, test.err, says)
			}
		}
	}
	for _, err := range []error{gemm(5, 4, 5, false, 3, 5, 4, 12), multiply(15, 3), multiply(0, 0)} {
		if err != nil {
			t.Errorf("a slice that just suffices: got %v, want no error", err)
		}
	}
}
