package lut

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"bittern/accel/internal/guard"
	"bittern/accel/isa"
	"bittern/plugins/packed"
)

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
	planes int // 0: multiplied as float32
}{
	{"binary", 1, []float32{-0.25, 0.25}, 1},
	{"ternary", 2, []float32{-0.3, 0, 0.3}, 2},
	{"binary off centre", 1, []float32{0, 1}, 1},
	{"learned ternary", 2, []float32{-0.7, 0, 0.4}, 2},
	{"constant", 1, []float32{0.5}, 1},
	{"uniform 2 bits", 2, []float32{-1.5, -0.5, 0.5, 1.5}, 2},
	{"uniform 3 bits", 3, []float32{-4, -3, -2, -1, 0, 1, 2, 3}, 3},
	{"multi-bit", 2, []float32{-0.9, -0.5, 0.5, 0.9}, 2},
	{"arbitrary 2 bits", 2, []float32{-1, 0, 0.3, 2}, 0},
	{"arbitrary 3 bits", 3, []float32{-1, -0.5, 0, 0.1, 2}, 0},
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

// sign is −1, 0 or 1.
func sign(v float32) int32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
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
					a.setIntegers(q, 0.5)
				default:
					a.Set(randomVector(rng, cols))
				}
				q, _ := a.quantized()
				got := integers(guard.Floats(t, rows))
				m.integers(got, a)
				for r := range rows {
					want := int32(0)
					for c := range cols {
						want += sign(packedMatrix.Value(r, c)) * int32(q[c])
					}
					if got[r] != want {
						t.Fatalf("%s, row %d: got %d, want %d", name, r, got[r], want)
					}
				}
			}
		}
	})
}

// A codebook takes as few planes as it can, and float32 only where it has to.
func TestPlanes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	for _, book := range codebooks {
		m, err := New(randomMatrix(t, rng, 3, 5, book.bits, book.levels, true), Int14)
		if err != nil {
			t.Fatal(err)
		}
		planes := 0
		for _, s := range m.sums {
			planes += s.planes
		}
		if planes != book.planes || (m.values != nil) != (book.planes == 0) {
			t.Errorf("%s: got %d planes and %d float32, want %d planes", book.name, planes, len(m.values), book.planes)
		}
	}
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
	y, scaled := guard.Floats(t, rows), guard.Floats(t, rows)
	m.Multiply(y, a)
	scale, shift := x[:min(rows, cols)], x[:min(rows, cols)]
	for len(scale) < rows {
		scale, shift = append(scale, 0.5), append(shift[:len(shift):len(shift)], -1)
	}
	m.MultiplyScaleShift(scaled, a, scale, shift)

	activations := make([]float64, cols)
	for c := range x {
		activations[c] = float64(x[c])
	}
	if precision == Int14 && m.values == nil {
		q, factor := a.quantized()
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
		if precision == Int14 && m.values == nil {
			product, weights, most := 0.0, 0.0, 0.0
			for c, v := range x {
				product += float64(packedMatrix.Value(r, c)) * float64(v)
				weights += math.Abs(float64(packedMatrix.Value(r, c)))
				most = max(most, math.Abs(float64(v)))
			}
			if bound := most / Limit / 2 * weights; math.Abs(want-product) > bound*(1+1e-3) {
				t.Fatalf("%s, row %d: rounding activations changes %v by %.3g, want at most %.3g", name, r, product, want-product, bound)
			}
		}
		wantScaled := float64(scale[r])*float64(y[r]) + float64(shift[r])
		if math.Abs(float64(scaled[r])-wantScaled) > 4*0x1p-24*(math.Abs(float64(scale[r])*float64(y[r]))+math.Abs(float64(shift[r]))) {
			t.Fatalf("%s, row %d: got %v scaled and shifted, want %v", name, r, scaled[r], wantScaled)
		}
	}
}

// Columns are those of the reference decoder, bit for bit.
func TestColumns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(3, 3))
		for rows := 1; rows <= 130; rows++ {
			book := codebooks[rng.IntN(len(codebooks))]
			cols, perRow := 1+rng.IntN(20), rng.IntN(2) == 0
			checkColumns(t, k, fmt.Sprintf("%s %d×%d, per row %v", book.name, rows, cols, perRow), randomMatrix(t, rng, rows, cols, book.bits, book.levels, perRow))
		}
		full, err := packed.FromValues(randomVector(rng, 5*7), 5, 7)
		if err != nil {
			t.Fatal(err)
		}
		checkColumns(t, k, "full precision 5×7", full)
	})
}

func checkColumns(t *testing.T, k *kernels, name string, m packed.Matrix) {
	t.Helper()
	laid, err := newColumns(k, m)
	if err != nil {
		t.Fatal(err)
	}
	y := guard.Floats(t, m.Rows)
	for c := range m.Cols {
		laid.Column(y, c)
		for r := range y {
			if got, want := math.Float32bits(y[r]), math.Float32bits(m.Value(r, c)); got != want {
				t.Fatalf("%s, row %d, column %d: got %v, want %v", name, r, c, y[r], m.Value(r, c))
			}
		}
	}
}

// Rounding is to the nearest whole number, to even between two, the same at
// every level; the largest activation becomes ±8191.
func TestQuantization(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	for n := 1; n <= 100; n++ {
		x := randomVector(rng, n)
		switch n % 3 {
		case 1: // 8191 / 8191 = 1: halves stay halves
			for i := range x {
				x[i] = float32(rng.IntN(2*Limit)-Limit) + 0.5
			}
			x[rng.IntN(n)] = -Limit
		case 2:
			for i := range x {
				x[i] *= 0x1p-90
			}
		}
		largest := float32(0)
		for _, v := range x {
			largest = max(largest, v, -v)
		}
		for _, level := range isa.Available() {
			a := newActivations(forLevel(level), n, Int14)
			a.Set(x)
			q, scale := a.quantized()
			if want := largest / Limit; scale != want {
				t.Fatalf("%v, %d activations: got scale %v, want %v", level, n, scale, want)
			}
			for i, v := range x {
				if want := int16(math.RoundToEven(float64(v * (Limit / largest)))); q[i] != want {
					t.Fatalf("%v, activation %d of %d, %v of at most %v: got %d, want %d", level, i, n, v, largest, q[i], want)
				}
			}
		}
	}
}

// What is no number is not made one.
func TestUnusualActivations(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(5, 5))
		infinity := float32(math.Inf(1))
		for _, test := range []struct {
			value float32
			want  func(y float32) bool
			says  string
		}{
			{float32(math.NaN()), func(y float32) bool { return y != y }, "NaN"},
			{-infinity, func(y float32) bool { return y != y }, "NaN"},
			{0, func(y float32) bool { return y == 0 }, "0"},
			{0x1p-140, func(y float32) bool { return y == 0 }, "0"},
			{math.MaxFloat32 / 4, func(y float32) bool { return y != 0 && y-y == 0 }, "a finite number"},
		} {
			for _, book := range codebooks[:4] {
				m, err := newMatrix(k, randomMatrix(t, rng, 70, 21, book.bits, book.levels, false), Int14)
				if err != nil {
					t.Fatal(err)
				}
				x := make([]float32, 21)
				x[13] = test.value
				a := newActivations(k, 21, Int14)
				a.Set(x)
				y := make([]float32, 70)
				m.Multiply(y, a)
				if book.name == "binary" {
					for r, v := range y {
						if !test.want(v) {
							t.Errorf("row %d with an activation of %v: got %v, want %s", r, test.value, v, test.says)
						}
					}
				} else if (y[0] != y[0]) != (test.says == "NaN") {
					t.Errorf("%s with an activation of %v: got %v, want %s", book.name, test.value, y[0], test.says)
				}
			}
		}
	})
}

// A set of activations can be used again, and by several matrices in turn.
func TestReuse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(6, 6))
		const rows, cols = 100, 70
		for _, precision := range []Precision{Int14, Exact} {
			matrices := oneOfEach(t, k, rng, rows, cols, precision)
			a := newActivations(k, cols, precision)
			first, second := randomVector(rng, cols), randomVector(rng, cols)
			y, again, other := make([]float32, rows), make([]float32, rows), make([]float32, rows)
			for i, m := range matrices {
				a.Set(first)
				m.Multiply(y, a)
				a.Set(second)
				m.Multiply(other, a)
				a.Set(first)
				matrices[(i+1)%len(matrices)].Multiply(other, a)
				m.Multiply(again, a)
				for r := range y {
					if y[r] != again[r] {
						t.Fatalf("%s, row %d: got %v the second time, want %v as the first", codebooks[i].name, r, again[r], y[r])
					}
				}
			}
		}
	})
}

// oneOfEach is a matrix of every codebook.
func oneOfEach(t *testing.T, k *kernels, rng *rand.Rand, rows, cols int, precision Precision) []*Matrix {
	t.Helper()
	var matrices []*Matrix
	for _, book := range codebooks {
		m, err := newMatrix(k, randomMatrix(t, rng, rows, cols, book.bits, book.levels, false), precision)
		if err != nil {
			t.Fatal(err)
		}
		matrices = append(matrices, m)
	}
	return matrices
}

// Products make no garbage. (Not parallel: allocations are counted for the process.)
func TestNoGarbage(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	const rows, cols = 100, 70
	for _, level := range isa.Available() {
		k := forLevel(level)
		columns, err := newColumns(k, randomMatrix(t, rng, rows, cols, 2, codebooks[1].levels, false))
		if err != nil {
			t.Fatal(err)
		}
		for _, precision := range []Precision{Int14, Exact} {
			matrices := oneOfEach(t, k, rng, rows, cols, precision)
			a := newActivations(k, cols, precision)
			x, y, scale, shift := randomVector(rng, cols), make([]float32, rows), make([]float32, rows), make([]float32, rows)
			garbage := testing.AllocsPerRun(10, func() {
				a.Set(x)
				for _, m := range matrices {
					m.Multiply(y, a)
					m.MultiplyScaleShift(y, a, scale, shift)
				}
				columns.Column(y, 3)
			})
			if garbage != 0 {
				t.Errorf("%v, precision %d: got %v allocations a run, want none", level, precision, garbage)
			}
		}
	}
}

// Mismatched shapes are refused with both shapes in the message.
func TestRefusals(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	m, err := New(randomMatrix(t, rng, 3, 5, 1, codebooks[0].levels, false), Int14)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := NewColumns(randomMatrix(t, rng, 3, 5, 1, codebooks[0].levels, false))
	if err != nil {
		t.Fatal(err)
	}
	a := NewActivations(5, Int14)
	for _, test := range []struct {
		says string
		call func()
	}{
		{"a 3×5 matrix for 4 sums of 5 activations", func() { m.Multiply(make([]float32, 4), a) }},
		{"a 3×5 matrix for 3 sums of 6 activations", func() { m.Multiply(make([]float32, 3), NewActivations(6, Int14)) }},
		{"different precisions", func() { m.Multiply(make([]float32, 3), NewActivations(5, Exact)) }},
		{"2 scales and 3 shifts for a 3×5 matrix", func() { m.MultiplyScaleShift(make([]float32, 3), a, make([]float32, 2), make([]float32, 3)) }},
		{"vector of 4 elements for activations of 5", func() { a.Set(make([]float32, 4)) }},
		{"activations of 0 elements", func() { NewActivations(0, Int14) }},
		{"column 5 of a 3×5 matrix", func() { columns.Column(make([]float32, 3), 5) }},
		{"column 0 of a 3×5 matrix into 4 elements", func() { columns.Column(make([]float32, 4), 0) }},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, test.says) {
					t.Errorf("got panic %q, want one that says %q", got, test.says)
				}
			}()
			test.call()
		}()
	}
	if _, err := New(packed.Matrix{Rows: 3, Cols: 5, Bits: 1}, Int14); err == nil {
		t.Error("got no error for a matrix without data")
	}
	if _, err := NewColumns(packed.Matrix{Rows: 3, Cols: 5, Bits: 1}); err == nil {
		t.Error("got no error for columns without data")
	}
	wide, err := packed.Pack(make([]uint16, MaxColumns+1), 1, MaxColumns+1, 1, codebooks[0].levels, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(wide, Int14); err == nil || !strings.Contains(err.Error(), "1×65537") {
		t.Errorf("got error %v for a matrix too wide to sum", err)
	}
}

// The longest vectors there may be do not overflow.
func TestLongestSums(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		q := make([]int16, MaxColumns)
		codes := make([]uint16, MaxColumns)
		for i := range q {
			q[i], codes[i] = Limit, 2
		}
		m, err := packed.Pack(codes, 1, MaxColumns, 2, []float32{-1, 0, 1}, false)
		if err != nil {
			t.Fatal(err)
		}
		laid, err := newMatrix(k, m, Int14)
		if err != nil {
			t.Fatal(err)
		}
		a := newActivations(k, MaxColumns, Int14)
		a.setIntegers(q, 1)
		got := make([]int32, 1)
		if laid.integers(got, a); got[0] != Limit*MaxColumns {
			t.Errorf("got %d, want %d", got[0], Limit*MaxColumns)
		}
	})
}

// Any sizes, codes and activations give the sums of the reference decoder.
func FuzzIntegers(f *testing.F) {
	f.Add(uint8(3), uint16(5), true, uint64(1))
	f.Add(uint8(65), uint16(1030), false, uint64(2))
	f.Fuzz(func(t *testing.T, rows uint8, cols uint16, ternary bool, seed uint64) {
		if rows == 0 || cols == 0 || cols > 3000 {
			return
		}
		book := codebooks[0]
		if ternary {
			book = codebooks[1]
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		m := randomMatrix(t, rng, int(rows), int(cols), book.bits, book.levels, false)
		q := make([]int16, cols)
		for i := range q {
			q[i] = int16(rng.IntN(2*Limit+1) - Limit)
		}
		want := make([]int32, rows)
		for r := range want {
			for c, v := range q {
				want[r] += sign(m.Value(r, c)) * int32(v)
			}
		}
		for _, level := range isa.Available() {
			k := forLevel(level)
			laid, err := newMatrix(k, m, Int14)
			if err != nil {
				t.Fatal(err)
			}
			a := newActivations(k, int(cols), Int14)
			a.setIntegers(q, 1)
			got := integers(guard.Floats(t, int(rows)))
			laid.integers(got, a)
			for r := range want {
				if got[r] != want[r] {
					t.Fatalf("%v, row %d of %d×%d: got %d, want %d", level, r, rows, cols, got[r], want[r])
				}
			}
		}
	})
}

// Any sizes, codebooks, codes and activations give the products and columns of the
// reference decoder.
func FuzzProducts(f *testing.F) {
	f.Add(uint8(3), uint16(5), uint8(0), false, false, uint64(1))
	f.Add(uint8(65), uint16(1030), uint8(1), true, true, uint64(2))
	f.Add(uint8(17), uint16(33), uint8(8), false, true, uint64(3))
	f.Fuzz(func(t *testing.T, rows uint8, cols uint16, book uint8, exact, perRow bool, seed uint64) {
		if rows == 0 || cols == 0 || cols > 3000 {
			return
		}
		b := codebooks[int(book)%len(codebooks)]
		precision := Int14
		if exact {
			precision = Exact
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		m := randomMatrix(t, rng, int(rows), int(cols), b.bits, b.levels, perRow)
		x := randomVector(rng, int(cols))
		for _, level := range isa.Available() {
			name := fmt.Sprintf("%v, %s %d×%d, per row %v", level, b.name, rows, cols, perRow)
			checkProduct(t, forLevel(level), name, m, x, precision)
			checkColumns(t, forLevel(level), name, m)
		}
	})
}
