package matmul

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bittern/accel/kernels/team"
)

// measured are the products of the training steps of the paper's models, and odd ones.
var measured = []struct {
	what string
	shape
}{
	{"step 512", shape{m: 64, n: 2048, k: 512, padding: 16}},
	{"step 512 unpadded", shape{m: 64, n: 2048, k: 512}},
	{"step 1000", shape{m: 64, n: 4000, k: 1000, padding: 16}},
	{"step words 300", shape{m: 20, n: 1200, k: 300, padding: 16}},
	{"step mnist 100", shape{m: 100, n: 400, k: 100, padding: 16}},
	{"backward step 512", shape{m: 64, n: 512, k: 2048, transB: true, padding: 16}},
	{"weight gradient 512", shape{m: 2048, n: 512, k: 6400, transA: true, padding: 16}},
	{"square", shape{m: 2048, n: 2048, k: 2048}},
	{"square both transposed", shape{m: 2048, n: 2048, k: 2048, transA: true, transB: true}},
	{"softmax 650", shape{m: 700, n: 10000, k: 650}},
	{"ragged", shape{m: 61, n: 1023, k: 513}},
	{"ragged large", shape{m: 1001, n: 1003, k: 999, transB: true}},
	{"outer product", shape{m: 64, n: 2048, k: 1}},
}

// BenchmarkGemm is the whole product on two workers.
func BenchmarkGemm(b *testing.B) {
	workers := team.New(2)
	defer workers.Close()
	for _, product := range measured {
		for _, one := range variants() {
			b.Run(fmt.Sprintf("%v/%v", product.shape, one), func(b *testing.B) {
				s, x := product.shape, newMultiplier(workers, one.kernel)
				left, right, c := filled(s.m, s.k, s.transA, s.padding), filled(s.k, s.n, s.transB, s.padding), filled(s.m, s.n, false, s.padding)
				measure(b, 2*float64(s.m)*float64(s.n)*float64(s.k), func() error {
					return x.Gemm(c.data, c.ld, false, s.transA, s.transB, s.m, s.n, s.k, left.data, left.ld, right.data, right.ld)
				})
			})
		}
	}
}

// BenchmarkPacked is one worker's products of a time step: four gates, each of 1/8 of the columns.
func BenchmarkPacked(b *testing.B) {
	for _, size := range [][2]int{{64, 512}, {64, 1000}, {100, 100}, {20, 300}, {20, 1500}} {
		for _, one := range variants() {
			m, d := size[0], size[1]
			b.Run(fmt.Sprintf("%dx%dx4x%d/%v", m, d, d/2, one), func(b *testing.B) {
				weights := filled(d, d/2, false, 16)
				var gates [4]Packed
				for gate := range gates {
					if err := gates[gate].pack(one.kernel, weights.data, weights.ld, false, d, d/2, nil); err != nil {
						b.Fatal(err)
					}
				}
				h, c := filled(m, d, false, 16), filled(m, 4*d, false, 16)
				var scratch Scratch
				measure(b, 4*2*float64(m)*float64(d)*float64(d/2), func() error {
					for gate := range gates {
						if err := scratch.MultiplyPacked(c.data[gate*d:], c.ld, h.data, h.ld, false, m, &gates[gate], true); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
	}
}

// BenchmarkPack is the packing of a gate's weights, as stored and transposed.
func BenchmarkPack(b *testing.B) {
	for _, transposed := range []bool{false, true} {
		for _, one := range variants() {
			b.Run(fmt.Sprintf("512x256/transposed=%v/%v", transposed, one), func(b *testing.B) {
				weights := filled(512, 256, transposed, 16)
				var p Packed
				for b.Loop() {
					if err := p.pack(one.kernel, weights.data, weights.ld, transposed, 512, 256, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(512 * 256 * 4)
			})
		}
	}
}

// filled is a random rows×columns matrix, or one stored transposed.
func filled(rows, columns int, transposed bool, padding int) operand {
	if transposed {
		rows, columns = columns, rows
	}
	x := operand{make([]float32, rows*(columns+padding)), columns + padding, transposed}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range x.data {
		x.data[i] = float32(random.NormFloat64())
	}
	return x
}

// measure times work and reports the speed of its median and its quickest run: the machine may be
// shared, and the quickest is then nearest to what the kernel can do.
func measure(b *testing.B, operations float64, work func() error) {
	var times []float64
	for b.Loop() {
		start := time.Now()
		if err := work(); err != nil {
			b.Fatal(err)
		}
		times = append(times, float64(time.Since(start).Nanoseconds()))
	}
	slices.Sort(times)
	b.ReportMetric(operations/times[len(times)/2], "GFLOP/s")
	b.ReportMetric(operations/times[0], "best-GFLOP/s")
}
