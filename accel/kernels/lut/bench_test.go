package lut

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/isa"
	"bittern/internal/sample"
	"bittern/plugins/packed"
)

// BenchmarkMultiply is the recurrent product of an LSTM step, tables included.
func BenchmarkMultiply(b *testing.B) {
	for _, units := range []int{512, 1000, 2000} {
		for _, weights := range []struct {
			name   string
			format sample.Format
		}{
			{"binary", sample.Binary}, {"ternary", sample.Ternary}, {"binary-rows", sample.PerRow(sample.Binary)},
			{"two-planes-rows", sample.PerRow(sample.TwoPlanes)}, {"asymmetric", sample.Asymmetric}, {"4-bits", sample.Uniform},
			{"four-free", sample.Format{Planes: [][]float32{{-1.5, -0.4, 0.3, 1.2}}}}, {"eight-free", sample.EightFree},
		} {
			rng := rand.New(rand.NewPCG(1, 1))
			m := weights.format.Pack(rng, 4*units, units, func(int) float32 { return 1 + rng.Float32() })
			for _, precision := range []Precision{Int14, Int8, Exact} {
				for _, level := range isa.Available() {
					name := fmt.Sprintf("%s/%d/%s/%s", weights.name, units, []string{"int14", "int8", "exact"}[precision], level)
					b.Run(name, func(b *testing.B) {
						k := forLevel(level)
						laid, err := newMatrix(k, m, precision)
						if err != nil {
							b.Fatal(err)
						}
						a := NewActivations(laid)
						x, y := randomVector(rng, units), make([]float32, 4*units)
						scale, shift := randomVector(rng, 4*units), randomVector(rng, 4*units)
						for b.Loop() {
							a.Set(x)
							laid.Multiply(Product{y, a, scale, shift})
						}
					})
				}
			}
		}
	}
}

// BenchmarkTogether is the same product of eight vectors, one after the other and together.
func BenchmarkTogether(b *testing.B) {
	const vectors = 8
	for _, units := range []int{512, 1000, 2000} {
		for name, format := range map[string]sample.Format{"binary": sample.Binary, "ternary": sample.Ternary, "float32": {}} {
			rng := rand.New(rand.NewPCG(1, 1))
			m, err := packed.FromValues(randomVector(rng, 4*units*units), 4*units, units)
			if len(format.Planes) > 0 {
				m = format.Pack(rng, 4*units, units, func(int) float32 { return 1 + rng.Float32() })
			}
			if err != nil {
				b.Fatal(err)
			}
			laid, err := New(m, Int14)
			if err != nil {
				b.Fatal(err)
			}
			x, products := randomVector(rng, units), make([]Product, vectors)
			for i := range products {
				products[i] = Product{Y: make([]float32, 4*units), X: NewActivations(laid)}
			}
			for how, multiply := range map[string]func(){
				"alone": func() {
					for _, p := range products {
						laid.Multiply(p)
					}
				},
				"together": func() { laid.Multiply(products...) },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", name, units, how), func(b *testing.B) {
					for b.Loop() {
						for _, p := range products {
							p.X.Set(x)
						}
						multiply()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vectors), "ns/vector")
				})
			}
		}
	}
}
