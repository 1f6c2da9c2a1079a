package matmul

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"bittern/accel/kernels/team"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// TestPortableOrder holds the bits of plain Go: each sum in order of depth, in blocks, rounded after
// each product and each addition.
func TestPortableOrder(t *testing.T) {
	t.Parallel()
	if fused(1+0x1p-12, 1+0x1p-12, -1-0x1p-11) != 0 {
		t.Skip("skipped the bits of plain Go: for this processor the compiler rounds a product and its addition once")
	}
	workers := team.New(2)
	defer workers.Close()
	x := New(workers)
	x.kernel = &portable
	for _, p := range problems() {
		got, s := p.again(t), p.shape
		if err := x.Gemm(got.c.data, got.c.ld, s.accumulate, s.transA, s.transB, s.m, s.n, s.k, got.a.data, got.a.ld, got.b.data, got.b.ld); err != nil {
			t.Fatal(err)
		}
		for i := range s.m {
			for j := range s.n {
				var want float32
				if s.accumulate {
					want = p.c.data[i*p.c.ld+j]
				}
				for first := 0; first < s.k; first += 256 {
					var sum float32
					for q := first; q < min(first+256, s.k); q++ {
						sum += float32(float32(p.a.at(i, q, s.transA)) * float32(p.b.at(q, j, s.transB)))
					}
					if first > 0 || s.accumulate {
						sum += want
					}
					want = sum
				}
				if got := got.c.data[i*got.c.ld+j]; math.Float32bits(got) != math.Float32bits(want) {
					t.Fatalf("%v: C[%d][%d]: got %v, want %v", s, i, j, got, want)
				}
			}
		}
	}
}

// fused is x·y + z, of which a compiler may round the product or not.
//
//go:noinline
func fused(x, y, z float32) float32 { return x*y + z }

// BenchmarkPortable multiplies in plain Go and with gonum in turn, both on as many processors as -cpu
// says. On amd64 gonum has assembly of its own unless built with -tags noasm. The iterations are
// the n of its medians.
func BenchmarkPortable(b *testing.B) {
	workers := team.New(runtime.GOMAXPROCS(0))
	defer workers.Close()
	x := New(workers)
	x.kernel = &portable
	stored := map[bool]blas.Transpose{false: blas.NoTrans, true: blas.Trans}
	for _, one := range measured {
		b.Run(one.shape.String(), func(b *testing.B) {
			s := one.shape
			left, right, c := filled(s.m, s.k, s.transA, s.padding), filled(s.k, s.n, s.transB, s.padding), filled(s.m, s.n, false, s.padding)
			var ours, ratios []float64
			for b.Loop() {
				start := time.Now()
				if err := x.Gemm(c.data, c.ld, false, s.transA, s.transB, s.m, s.n, s.k, left.data, left.ld, right.data, right.ld); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				gonum.Implementation{}.Sgemm(stored[s.transA], stored[s.transB], s.m, s.n, s.k, 1, left.data, left.ld, right.data, right.ld, 0, c.data, c.ld)
				first, second := middle.Sub(start).Seconds(), time.Since(middle).Seconds()
				ours, ratios = append(ours, first), append(ratios, first/second)
			}
			slices.Sort(ours)
			slices.Sort(ratios)
			b.ReportMetric(2e-9*float64(s.m)*float64(s.n)*float64(s.k)/ours[len(ours)/2], "GFLOP/s")
			b.ReportMetric(ratios[len(ratios)/2], "×gonum's-time")
		})
	}
}
