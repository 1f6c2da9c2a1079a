package datapath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Sums must be exact, also where every product has the largest size there is and
// there is more than one block of columns.
func TestMatVecIsExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, cols, sequences int
		width                 Width
		extreme               bool
	}{
		{1, 1, 1, Binary, false}, {3, 5, 2, Ternary, false}, {65, 129, 7, Binary, false}, {4, 8193, 1, Binary, true},
		{1, 1, 1, TwelveBit, false}, {5, 3, 3, TwelveBit, false}, {17, 255, 4, TwelveBit, true},
		{9, 256, 5, TwelveBit, true}, {7, 257, 2, TwelveBit, true}, {3, 1025, 6, TwelveBit, true}, {33, 700, 3, TwelveBit, false},
	} {
		t.Run(fmt.Sprintf("%d×%d, %d sequences, %v, extreme %v", c.rows, c.cols, c.sequences, c.width, c.extreme), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			largest := 1
			if c.width == TwelveBit {
				largest = 2047
			}
			w := matrix{rows: c.rows, cols: c.cols, width: c.width, integers: make([]int16, c.rows*c.cols)}
			for i := range w.integers {
				if w.integers[i] = int16(rng.IntN(2*largest+1) - largest); c.extreme {
					w.integers[i] = int16(largest)
				}
			}
			x := view{size: c.cols, stride: c.cols}
			sum := view{size: c.rows, stride: c.rows}
			m := (&Graph{values: []int{c.cols}, sums: []int{c.rows}}).newMachine(c.sequences)
			m.sequences = c.sequences
			for i := range m.values[0] {
				if m.values[0][i] = int32(rng.IntN(4096) - 2048); c.extreme {
					m.values[0][i] = -2048
				}
			}
			if err := (matVec{x: x, sum: sum, packed: pack(w)}).run(m); err != nil {
				t.Fatal(err)
			}
			for b := range c.sequences {
				for r := range c.rows {
					var want int64
					for k := range c.cols {
						want += int64(w.integers[r*c.cols+k]) * int64(m.values[0][b*c.cols+k])
					}
					if got := m.sums[0][b*c.rows+r]; got != float64(want) {
						t.Fatalf("row %d of sequence %d is %v, want %d", r, b, got, want)
					}
				}
			}
		})
	}
}

func TestTwelveBitWeights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values  []float32
		want    []int16
		shift   int
		rounded bool
	}{
		{[]float32{0, 0}, []int16{0, 0}, 11, false},
		{[]float32{0.5, -0.25}, []int16{1024, -512}, 11, false},
		{[]float32{0.999999, -0.3}, []int16{2047, -614}, 11, true},
		{[]float32{3, 1.0 / 512}, []int16{1536, 1}, 9, false},
		{[]float32{3, 1.0 / 1024}, []int16{1536, 0}, 9, true}, // a tie goes to the even 0
		{[]float32{1e-20, -1e-20}, []int16{1511, -1511}, 77, true},
	} {
		got, rounded := twelveBit(fullPrecision(t, c.values, 1, 2))
		if fmt.Sprint(got.integers) != fmt.Sprint(c.want) || got.fraction != c.shift || rounded != c.rounded {
			t.Errorf("%v becomes %v/2^%d, rounded %v; want %v/2^%d, %v", c.values, got.integers, got.fraction, rounded, c.want, c.shift, c.rounded)
		}
		for i, v := range c.values {
			back := math.Ldexp(float64(got.integers[i]), -got.fraction)
			if step := math.Ldexp(1, -got.fraction); math.Abs(back-float64(v)) > step {
				t.Errorf("%v becomes %v, further than a step of %v", v, back, step)
			}
		}
	}
}
