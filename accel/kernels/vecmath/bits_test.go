package vecmath

import (
	"fmt"
	"testing"

	"bittern/accel/kernels/internal/bits"
	"bittern/accel/kernels/isa"
)

// The kernels that work on each element by itself; levels add up in orders of their own.
func TestVectorLevelsGiveTheseBits(t *testing.T) {
	t.Parallel()
	bits.Compare(t, func(level isa.Level, lines *bits.Lines) {
		k := forLevel(level)
		for _, n := range lengths {
			x, y, z := numbers(t, n, 1), numbers(t, n, 2), numbers(t, n, 3)
			for _, c := range []struct {
				name string
				run  func(dst []float32)
			}{
				{"sigmoid", func(dst []float32) { k.scale(dst, 20); k.sigmoid(dst, dst) }},
				{"tanh", func(dst []float32) { k.tanh(dst, dst) }},
				{"add", func(dst []float32) { k.add(dst, y) }},
				{"mul", func(dst []float32) { k.mul(dst, y) }},
				{"axpy", func(dst []float32) { k.axpy(dst, 0.3, y) }},
				{"scaleShift", func(dst []float32) { k.scaleShift(dst, dst, y, z) }},
				{"reciprocalDeviation", func(dst []float32) { k.mul(dst, dst); k.reciprocalDeviation(dst, dst, 1e-5) }},
				{"adam", func(dst []float32) {
					Adam{0.002, 0.9, 0.999, 1e-8}.update(k, dst, x, numbers(t, n, 4), make([]float32, n), 3, 0.5)
				}},
			} {
				dst := numbers(t, n, 5)
				c.run(dst)
				lines.Add(fmt.Sprintf("%s %d", c.name, n), dst)
			}
		}
	})
}
