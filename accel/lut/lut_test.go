package lut

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/isa"
	"bittern/plugins/packed"
)

// guard is what stands around every slice that a kernel is given.
const guard = 32

// guarded is a slice of n elements, all NaN, with more of them on either side,
// and a function that fails the test where one of those has changed.
func guarded(t *testing.T, n int) (middle []float32, check func(what string)) {
	t.Helper()
	const pattern = 0x7FC0BEEF
	all := make([]float32, guard+n+guard)
	for i := range all {
		all[i] = math.Float32frombits(pattern)
	}
	return all[guard : guard+n : guard+n], func(what string) {
		t.Helper()
		for i, v := range all {
			if (i < guard || i >= guard+n) && math.Float32bits(v) != pattern {
				t.Fatalf("%s: wrote %v at %d of a slice of %d", what, v, i-guard, n)
			}
		}
	}
}

func each(t *testing.T, test func(t *testing.T, k *kernels)) {
	for _, level := range isa.Available() {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			test(t, forLevel(level))
		})
	}
}

func randomVector(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// codebooks are those of the quantizers, and what else the planes must cope with.
var codebooks = []struct {
	name   string
	bits   int
	levels []float32
	signed bool // has Integers
	planes int  // 0: multiplied as float32
}{
	{"binary", 1, []float32{-0.25, 0.25}, true, 1},
	{"ternary", 2, []float32{-0.3, 0, 0.3}, true, 2},
	{"binary off centre", 1, []float32{0, 1}, false, 1},
	{"learned ternary", 2, []float32{-0.7, 0, 0.4}, false, 2},
	{"constant", 1, []float32{0.5}, false, 1},
	{"uniform 2 bits", 2, []float32{-1.5, -0.5, 0.5, 1.5}, false, 2},
	{"uniform 3 bits", 3, []float32{-4, -3, -2, -1, 0, 1, 2, 3}, false, 3},
	{"multi-bit", 2, []float32{-0.9, -0.5, 0.5, 0.9}, false, 2},
	{"arbitrary 2 bits", 2, []float32{-1, 0, 0.3, 2}, false, 0},
	{"arbitrary 3 bits", 3, []float32{-1, -0.5, 0, 0.1, 2}, false, 0},
}

func randomMatrix(t *testing.T, rng *rand.Rand, rows, cols, bits int, levels []float32, perRow bool) packed.Matrix {
	t.Helper()
	codes := make([]uint16, rows*cols)
	for i := range codes {
		codes[i] = uint16(rng.IntN(len(levels)))
	}
	if perRow {
		var all []float32
		for range rows {
			scale := 0.5 + rng.Float32()
			for _, level := range levels {
				all = append(all, level*scale)
			}
		}
		levels = all
	}
	m, err := packed.Pack(codes, rows, cols, bits, levels, perRow)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sizes are rows and columns on either side of every block and chunk.
func sizes(rng *rand.Rand) [][2]int {
	var all [][2]int
	for n := 1; n <= 130; n++ {
		all = append(all, [2]int{n, 1 + rng.IntN(130)})
	}
	return append(all, [][2]int{
		{1, 511}, {3, 513}, {64, 512}, {65, 16}, {63, 1023}, {128, 1024}, {130, 1025}, {256, 100}, {77, 2049}, {5, 4100},
	}...)
}

// The whole-number sums are those of the reference decoder and the quantised
// activations, at every level and size.
func TestIntegersAreExact(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, size := range sizes(rng) {
			rows, cols := size[0], size[1]
			for _, book := range codebooks[:2] {
				name := fmt.Sprintf("%s %d×%d", book.name, rows, cols)
				packedMatrix := randomMatrix(t, rng, rows, cols, book.bits, book.levels, rng.IntN(2) == 0)
				m, err := newMatrix(k, packedMatrix, Int14)
				if err != nil {
					t.Fatal(err)
				}
				a := newActivations(k, cols, Int14)
				switch rng.IntN(3) {
				case 0: // the largest sums there are
					q := make([]int16, cols)
					for i := range q {
						q[i] = int16(Limit * (1 - 2*rng.IntN(2)))
					}
					a.SetIntegers(q, 0.5)
				default:
					a.Set(randomVector(rng, cols))
				}
				q, _ := a.Quantized()
				storage, check := guarded(t, rows)
				got := integers(storage)
				m.Integers(got, a)
				check(name)
				alphaSign := func(r, c int) int32 {
					switch v := packedMatrix.Value(r, c); {
					case v > 0:
						return 1
					case v < 0:
						return -1
					}
					return 0
				}
				for r := range rows {
					want := int32(0)
					for c := range cols {
						want += alphaSign(r, c) * int32(q[c])
					}
					if got[r] != want {
						t.Fatalf("%s, row %d: got %d, want %d", name, r, got[r], want)
					}
				}
			}
		}
	})
}

// Products are those of the reference decoder: with the quantised activations
// for Int14, with the activations themselves for Exact, but for the rounding of
// float32 sums.
func TestProducts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(2, 2))
		all := sizes(rng)
		for i, book := range codebooks {
			for _, precision := range []Precision{Int14, Exact} {
				for _, perRow := range []bool{false, true} {
					for n := i; n < len(all); n += 7 {
						rows, cols := all[n][0], all[n][1]
						name := fmt.Sprintf("%s %d×%d, precision %d, per row %v", book.name, rows, cols, precision, perRow)
						m := randomMatrix(t, rng, rows, cols, book.bits, book.levels, perRow)
						checkProduct(t, k, name, m, randomVector(rng, cols), precision)
					}
				}
			}
		}
		for n := 0; n < len(all); n += 5 {
			rows, cols := all[n][0], all[n][1]
			m, err := packed.FromValues(randomVector(rng, rows*cols), rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			checkProduct(t, k, fmt.Sprintf("full precision %d×%d", rows, cols), m, randomVector(rng, cols), Int14)
		}
	})
}

func checkProduct(t *testing.T, k *kernels, name string, packedMatrix packed.Matrix, x []float32, precision Precision) {
	t.Helper()
	rows, cols := packedMatrix.Rows, packedMatrix.Cols
	m, err := newMatrix(k, packedMatrix, precision)
	if err != nil {
		t.Fatal(err)
	}
	a := newActivations(k, cols, precision)
	a.Set(x)
	y, check := guarded(t, rows)
	m.Multiply(y, a)
	check(name)
	scaled, check := guarded(t, rows)
	scale, shift := x[:min(rows, cols)], x[:min(rows, cols)]
	for len(scale) < rows {
		scale, shift = append(scale, 0.5), append(shift[:len(shift):len(shift)], -1)
	}
	m.MultiplyScaleShift(scaled, a, scale, shift)
	check(name + ", scaled and shifted")

	activations := make([]float64, cols)
	for c := range x {
		activations[c] = float64(x[c])
	}
	if precision == Int14 && m.values == nil {
		q, factor := a.Quantized()
		for c := range x {
			activations[c] = float64(q[c]) * float64(factor)
		}
	}
	// A rounding errs by 2⁻²⁴ of a number that is at most the largest sum there may
	// be, with all signs the same. Whole numbers are rounded in the last few
	// operations only, float32 sums in every addition.
	roundings, largest := 8.0, 0.0
	if precision == Exact || m.values != nil {
		roundings += float64(cols)
	}
	for c, v := range activations {
		column := 0.0
		for r := range rows {
			column = max(column, math.Abs(float64(packedMatrix.Value(r, c))))
		}
		largest += column * math.Abs(v)
	}
	tolerance := roundings * 0x1p-24 * 3 * largest
	for r := range rows {
		want := 0.0
		for c, v := range activations {
			want += float64(packedMatrix.Value(r, c)) * v
		}
		if math.Abs(float64(y[r])-want) > tolerance {
			t.Fatalf("%s, row %d: got %v, want %v ± %.2g", name, r, y[r], want, tolerance)
		}
		wantScaled := float64(scale[r])*float64(y[r]) + float64(shift[r])
		if math.Abs(float64(scaled[r])-wantScaled) > 4*0x1p-24*(math.Abs(float64(scale[r])*float64(y[r]))+math.Abs(float64(shift[r]))) {
			t.Fatalf("%s, row %d: got %v scaled and shifted, want %v", name, r, scaled[r], wantScaled)
		}
	}
}
