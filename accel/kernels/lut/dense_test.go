package lut

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/plugins/packed"
)

// A float32 product has the same bits alone and with any number of others, whatever the sizes.
func TestDenseTogether(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(14, 14))
		for _, size := range [][2]int{{1, 1}, {16, 8}, {17, 7}, {31, 9}, {33, 300}, {48, 15}, {64, 64}, {65, 1}, {100, 203}} {
			rows, cols := size[0], size[1]
			weights, err := packed.FromValues(randomVector(rng, rows*cols), rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			m, err := newMatrix(k, weights, Int14)
			if err != nil {
				t.Fatal(err)
			}
			for _, vectors := range []int{2, 3, 8, 13} {
				var products []Product
				var want [][]float32
				for range vectors {
					p := Product{Y: make([]float32, rows), X: NewActivations(m)}
					p.X.Set(randomVector(rng, cols))
					m.Multiply(p)
					want = append(want, p.Y)
					p.Y = randomVector(rng, rows) // to be overwritten
					products = append(products, p)
				}
				m.Multiply(products...)
				for i, p := range products {
					if !slices.Equal(p.Y, want[i]) {
						t.Fatalf("%d×%d: product %d of %d gives other numbers than alone", rows, cols, i, vectors)
					}
				}
			}
		}
	})
}
