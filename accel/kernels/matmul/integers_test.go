package matmul

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
)

// TestIntegers multiplies matrices of odd sizes, and such whose sums need several blocks, at
// every level.
func TestIntegers(t *testing.T) {
	t.Parallel()
	const most = 1 << 11
	for _, level := range isa.Available() {
		for _, c := range []struct {
			rows, columns, vectors, largest, blocks int
		}{
			{1, 1, 1, 1, 1}, {1, 2, 3, 2047, 1}, {5, 3, 8, 2047, 1}, {16, 64, 4, 1, 1}, {17, 65, 7, 2047, 1},
			{47, 130, 9, 1, 1}, {48, 31, 15, 2047, 1}, {49, 33, 16, 1, 1}, {95, 200, 5, 2047, 1}, {100, 17, 33, 32767, 1},
			{7, 2049, 3, 2048, 0}, {33, 513, 2, 32767, 0}, {2, 4096, 9, 1, 1}, {3, 0, 2, 1, 1},
		} {
			t.Run(fmt.Sprintf("%s/%d×%d, %d vectors up to %d", level, c.rows, c.columns, c.vectors, c.largest), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(uint64(c.rows), uint64(c.columns)))
				number := func(largest int) int16 {
					if rng.IntN(3) > 0 {
						return int16(-largest)
					}
					return int16(rng.IntN(2*largest+1) - largest)
				}
				w := guard.Slice[int16](t, c.rows*c.columns)
				for i := range w {
					w[i] = number(c.largest)
				}
				m := packIntegers(integersForLevel(level), w, c.rows, c.columns, most)
				if c.blocks > 0 && m.Blocks() != c.blocks || c.blocks == 0 && m.Blocks() < 2 {
					t.Errorf("%d blocks, want %d (0: several)", m.Blocks(), c.blocks)
				}
				x := guard.Slice[int16](t, c.vectors*m.Stride())
				for i := range x {
					x[i] = number(most)
				}
				sums, product := make([]int64, c.vectors*c.rows), guard.Slice[int32](t, c.vectors*c.rows)
				for block := range m.Blocks() {
					for i := range product {
						product[i] = math.MinInt32 // to be overwritten
					}
					m.Multiply(product, x, c.vectors, block)
					for i, v := range product {
						sums[i] += int64(v)
					}
				}
				for i, got := range sums {
					vector, row := i/c.rows, i%c.rows
					var want int64
					for k := range c.columns {
						want += int64(w[row*c.columns+k]) * int64(x[vector*m.Stride()+k])
					}
					if got != want {
						t.Fatalf("row %d of vector %d: got %d, want %d", row, vector, got, want)
					}
				}
			})
		}
	}
}

// BenchmarkIntegers is a product of an LSTM step of 512 units with many vectors.
func BenchmarkIntegers(b *testing.B) {
	const rows, columns, vectors = 2048, 512, 32
	for _, level := range isa.Available() {
		b.Run(level.String(), func(b *testing.B) {
			m := packIntegers(integersForLevel(level), make([]int16, rows*columns), rows, columns, 1<<11)
			x, sums := make([]int16, vectors*m.Stride()), make([]int32, vectors*rows)
			for b.Loop() {
				m.Multiply(sums, x, vectors, 0)
			}
			b.ReportMetric(rows*columns*vectors*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
