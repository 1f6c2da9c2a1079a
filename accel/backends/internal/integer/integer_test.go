package integer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/packed"
)

// dot is the product by the package comment, in 64-bit whole numbers.
func dot(p *Plane, row, cols int, q []float32) int64 {
	sum := int64(0)
	for c := range cols {
		sum += int64(p.values[row*cols+c]) * int64(q[c])
	}
	return sum
}

// Products are exact, whatever the format and however many columns there are: more than
// a sum in float32 holds too.
func TestProductsAreExact(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]sample.Format{
		"binary": sample.Binary, "ternary rows": sample.PerRow(sample.Ternary), "two planes": sample.TwoPlanes,
		"4 bits": sample.Uniform, "asymmetric": sample.Asymmetric,
		"of one sign": {Planes: [][]float32{{1, 127}}}, // which are rounded, to themselves
	} {
		for _, cols := range []int{1, 37, 30001} {
			const rows, sequences, n = 5, 3, 127
			rng := rand.New(rand.NewPCG(1, uint64(cols)))
			w, _ := newWeight(format.Pack(rng, rows, cols, func(int) float32 { return 0.3 }), 8)
			w.prepare(n)
			q := make([]float32, sequences*cols)
			for i := range q {
				q[i] = float32(rng.IntN(2*n+1) - n)
			}
			for c := range cols {
				q[c] = n // all of one sign
			}
			y, units := make([]float32, sequences*rows), []float32{0.01, 1, 0}
			w.multiply(y, q, units, sequences, &worker{})
			for s := range sequences {
				for r := range rows {
					want := float32(0)
					for i := range w.Planes {
						p := &w.Planes[i]
						want += float32(p.scale(r)*units[s]) * float32(dot(p, r, cols, q[s*cols:]))
					}
					if got := y[s*rows+r]; got != want {
						t.Fatalf("%s, %d columns: row %d of sequence %d is %v, want %v", name, cols, r, s, got, want)
					}
				}
			}
		}
	}
}

// Planes of whole numbers are kept to the bit; anything else is rounded, by at most half
// a step of its row.
func TestWeights(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	full, err := packed.FromValues([]float32{0.5, -1, 0.25, 0, 0, 0, 3, 1e-30, -2}, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(f sample.Format) packed.Matrix {
		return f.Pack(rng, 9, 11, func(plane int) float32 { return 0.37 / float32(plane+1) })
	}
	wide := make([]float32, 1<<9)
	for i := range wide {
		wide[i] = float32(i) - 256
	}
	for name, c := range map[string]struct {
		m       packed.Matrix
		rounded bool
		bits    int
	}{
		"binary":     {pack(sample.Binary), false, 1},
		"ternary":    {pack(sample.PerRow(sample.Ternary)), false, 2},
		"two planes": {pack(sample.TwoPlanes), false, 2},
		"4 bits":     {pack(sample.Uniform), false, 4},
		"all zero":   {pack(sample.Format{Planes: [][]float32{{0, 0}}}), false, 1},
		"asymmetric": {pack(sample.Asymmetric), true, 6},
		"eight free": {pack(sample.EightFree), true, 6},
		"9 bits":     {pack(sample.Format{Planes: [][]float32{wide}}), true, 6},
		"full":       {full, true, 6},
		"too wide":   {pack(sample.Format{Planes: [][]float32{{1, 3}}}), true, 6}, // for codes of 1 bit
		"2, 3 and 7": {pack(sample.Format{Planes: [][]float32{{2, 3, 7}}}), true, 6},
	} {
		w, rounded := newWeight(c.m, 6)
		if rounded != c.rounded || w.Bits() != c.bits {
			t.Errorf("%s: rounded %t to %d bits, want %t, %d", name, rounded, w.Bits(), c.rounded, c.bits)
		}
		y := make([]float32, c.m.Rows)
		for col := range c.m.Cols {
			w.column(y, col)
			for r, got := range y {
				want, half := c.m.Value(r, col), float32(0)
				if rounded {
					half = w.Planes[0].scale(r) / 2
				}
				if abs(got-want) > half*1.0001+1e-7*abs(want) {
					t.Errorf("%s: weight %d, %d is %v, want %v", name, r, col, got, want)
				}
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	t.Parallel()
	q := make([]float32, 5)
	if scale := quantize(q, []float32{-2, 1, 0.5, 0.009, 0.025}, 100); scale != 0.02 || !slices.Equal(q, []float32{-100, 50, 25, 0, 1}) {
		t.Errorf("%v in units of %v", q, scale)
	}
	if scale := quantize(q, make([]float32, 5), 127); scale != 0 || !slices.Equal(q, make([]float32, 5)) {
		t.Errorf("zeros are %v in units of %v", q, scale)
	}
	tiny := []float32{math.SmallestNonzeroFloat32, 0, 0, 0, -math.SmallestNonzeroFloat32}
	if quantize(q, tiny, 127); !slices.Equal(q, []float32{127, 0, 0, 0, -127}) {
		t.Errorf("the smallest numbers are %v", q)
	}
	nan := float32(math.NaN())
	if scale := quantize(q, []float32{1, nan, 2, 3, 4}, 127); scale == scale {
		t.Errorf("a vector that is no number is %v in units of %v", q, scale)
	}
}
