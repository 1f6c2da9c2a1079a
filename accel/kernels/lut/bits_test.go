package lut

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/internal/bits"
	"bittern/accel/kernels/isa"
	"bittern/internal/sample"
)

// The kernels in float32. Sums of whole numbers are exact at every level, see TestIntegersAreExact.
func TestVectorLevelsGiveTheseBits(t *testing.T) {
	t.Parallel()
	if isa.Current() == isa.Portable {
		t.Skip("skipped: what follows the sums is package vecmath's, which computes in plain Go here")
	}
	bits.Compare(t, func(level isa.Level, lines *bits.Lines) {
		k := forLevel(level)
		for _, shape := range [][2]int{{1, 1}, {3, 7}, {16, 8}, {65, 33}, {130, 100}} {
			rows, columns := shape[0], shape[1]
			rng := rand.New(rand.NewPCG(uint64(rows), uint64(columns)))
			x, scale, shift := randomVector(rng, columns), randomVector(rng, rows), randomVector(rng, rows)
			for _, c := range []struct {
				name   string
				format sample.Format
			}{
				{"binary", sample.Binary}, {"ternary", sample.PerRow(sample.Ternary)}, {"eight levels", sample.EightFree},
				{"float32", sample.Format{Planes: [][]float32{uneven(20)}}},
			} {
				m := c.format.Pack(rng, rows, columns, func(int) float32 { return 1 + rng.Float32() })
				laid, err := newMatrix(k, m, Int14)
				if err != nil {
					t.Fatal(err)
				}
				a, y := NewActivations(laid), make([]float32, rows)
				a.Set(x)
				laid.Multiply(Product{y, a, scale, shift})
				lines.Add(fmt.Sprintf("%s %d×%d product", c.name, rows, columns), y)
				table, err := newColumns(k, m)
				if err != nil {
					t.Fatal(err)
				}
				table.ColumnScaleAdd(y, columns-1, scale, shift, make([]float32, table.Workspace()))
				lines.Add(fmt.Sprintf("%s %d×%d column", c.name, rows, columns), y)
			}
		}
	})
}

// uneven returns levels that are no sums of signs.
func uneven(count int) []float32 {
	levels := make([]float32, count)
	for i := range levels {
		levels[i] = float32(i*i) / 8
	}
	return levels
}
