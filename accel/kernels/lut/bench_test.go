package lut

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/isa"
	"bittern/plugins/packed"
)

// BenchmarkMultiply is the recurrent product of an LSTM step, tables included.
func BenchmarkMultiply(b *testing.B) {
	for _, units := range []int{512, 1000, 2000} {
		for _, book := range codebooks[:2] {
			rng := rand.New(rand.NewPCG(1, 1))
			codes := make([]uint16, 4*units*units)
			for i := range codes {
				codes[i] = uint16(rng.IntN(len(book.levels)))
			}
			m, err := packed.Pack(4*units, units, packed.Codes{Bits: book.bits, Codes: codes, Levels: book.levels, Scales: []float32{1}})
			if err != nil {
				b.Fatal(err)
			}
			for _, precision := range []Precision{Int14, Int8, Exact} {
				for _, level := range isa.Available() {
					name := fmt.Sprintf("%s/%d/%s/%s", book.name, units, []string{"int14", "int8", "exact"}[precision], level)
					b.Run(name, func(b *testing.B) {
						k := forLevel(level)
						laid, err := newMatrix(k, m, precision)
						if err != nil {
							b.Fatal(err)
						}
						a := NewActivations(laid)
						x, y := randomVector(rng, units), make([]float32, 4*units)
						for b.Loop() {
							a.Set(x)
							laid.Multiply(y, a)
						}
					})
				}
			}
		}
	}
}
