package matmul

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"bittern/accel/kernels/team"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

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
