package lut

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
	"bittern/plugins/packed"
)

var precisions = []Precision{Int14, Int8, Exact}

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
	planes int // of signs; 0: as codes, −1: as float32
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
	{"uniform 7 levels", 3, []float32{-3, -2, -1, 0, 1, 2, 3}, 3},
	{"uniform 8 bits", 8, uniform(256), 8},
	{"uniform 5 bits", 5, uniform(31), 5},
	{"arbitrary 4 bits", 4, []float32{-8, -4, -2, -1, -0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5, 1, 2, 4, 8, 9}, 0},
	{"17 arbitrary levels", 5, append([]float32{-9}, -8, -4, -2, -1, -0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5, 1, 2, 4, 8, 9), -1},
	{"uniform 9 bits", 9, uniform(512), -1},
}

// uniform is whole numbers around 0.
func uniform(count int) []float32 {
	levels := make([]float32, count)
	for i := range levels {
		levels[i] = float32(i - count/2)
	}
	return levels
}

func randomMatrix(t *testing.T, rng *rand.Rand, rows, cols, bits int, levels []float32, perRow bool) packed.Matrix {
	t.Helper()
	codes := make([]uint16, rows*cols)
	for i := range codes {
		codes[i] = uint16(rng.IntN(len(levels)))
	}
	scales := []float32{1}
	if perRow {
		scales = make([]float32, rows)
		for r := range scales {
			scales[r] = 0.5 + rng.Float32()
		}
	}
	m, err := packed.Pack(rows, cols, packed.Codes{Bits: bits, Codes: codes, Levels: levels, Scales: scales})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomPlanes is a matrix of three planes: signs with a scale per row, free levels
// with one, and ternary with a scale per row.
func randomPlanes(t *testing.T, rng *rand.Rand, rows, cols int) packed.Matrix {
	t.Helper()
	var planes []packed.Codes
	for i, book := range []int{0, 9, 1} {
		m := randomMatrix(t, rng, rows, cols, codebooks[book].bits, codebooks[book].levels, i != 1)
		p := m.Planes[0]
		planes = append(planes, packed.Codes{Bits: p.Bits, Codes: m.Codes(0), Levels: p.Levels, Scales: p.Scales})
	}
	m, err := packed.Pack(rows, cols, planes...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A product of several planes is the sum of their products, and a column is that of
// the reference decoder, bit for bit.
func TestPlanesAdd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(10, 10))
		for _, size := range [][2]int{{1, 1}, {5, 70}, {64, 64}, {130, 33}, {200, 300}} {
			rows, cols := size[0], size[1]
			m := randomPlanes(t, rng, rows, cols)
			checkColumns(t, k, fmt.Sprintf("three planes %d×%d", rows, cols), m)
			for _, precision := range precisions {
				laid, err := newMatrix(k, m, precision)
				if err != nil {
					t.Fatal(err)
				}
				x := randomVector(rng, cols)
				want := make([]float64, rows)
				for i := range m.Planes {
					one, err := newMatrix(k, packed.Matrix{Rows: rows, Cols: cols, Planes: m.Planes[i : i+1]}, precision)
					if err != nil {
						t.Fatal(err)
					}
					y, a := make([]float32, rows), NewActivations(one)
					a.Set(x)
					one.Multiply(Product{Y: y, X: a})
					for r := range y {
						want[r] += float64(y[r])
					}
				}
				y, a := guard.Floats(t, rows), NewActivations(laid)
				a.Set(x)
				laid.Multiply(Product{Y: y, X: a})
				largest := 0.0
				for _, v := range x {
					largest += 4 * math.Abs(float64(v)) // weights are at most 4.2
				}
				for r := range y {
					if math.Abs(float64(y[r])-want[r]) > 0x1p-21*largest {
						t.Fatalf("%d×%d, precision %d, row %d: got %v, want %v", rows, cols, precision, r, y[r], want[r])
					}
				}
			}
		}
	})
}

// Sums of codes are the same on every machine, bit for bit: each product is rounded,
// and added column after column.
func TestCodedSumsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 11))
	for _, book := range codebooks {
		if book.planes != 0 {
			continue
		}
		for n := 0; n < 20; n++ {
			rows, cols := 1+rng.IntN(200), 1+rng.IntN(200)
			m := randomMatrix(t, rng, rows, cols, book.bits, book.levels, false)
			x := randomVector(rng, cols)
			for _, level := range isa.Available() {
				laid, err := newMatrix(forLevel(level), m, Int14)
				if err != nil {
					t.Fatal(err)
				}
				y, a := make([]float32, rows), NewActivations(laid)
				a.Set(x)
				laid.Multiply(Product{Y: y, X: a})
				for r, got := range y {
					want := float32(0)
					for c, v := range x {
						want += float32(m.Value(r, c) * v)
					}
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%v, %s %d×%d, row %d: got %v, want %v", level, book.name, rows, cols, r, got, want)
					}
				}
			}
		}
	}
}

// What is kept of the weights of an LSTM of 512 and of 1000 units takes at most a tenth
// more than their bits, for products (of an eighth of the rows, which is filled up by
// more of itself) and for look-ups (of a few symbols, each of which has its own bytes).
func TestBytes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		for _, units := range []int{512, 1000} {
			for _, book := range codebooks {
				if book.planes < 0 || book.name == "constant" {
					continue
				}
				pack := func(rows, cols int) packed.Matrix {
					m, err := packed.Pack(rows, cols, packed.Codes{Bits: book.bits, Codes: make([]uint16, rows*cols), Levels: book.levels, Scales: []float32{1}})
					if err != nil {
						t.Fatal(err)
					}
					return m
				}
				check := func(what string, rows, cols, got int) {
					want := float64(rows*cols*book.bits) / 8
					if float64(got) > 1.1*want {
						t.Errorf("%s of %s, %d×%d: %d bytes of codes, want at most a tenth more than %v", what, book.name, rows, cols, got, want)
					}
				}
				columns, err := newColumns(k, pack(4*units, 3))
				if err != nil {
					t.Fatal(err)
				}
				bytes, _ := columns.Bytes()
				check("columns", 4*units, 3, bytes)
				for _, precision := range precisions {
					m, err := newMatrix(k, pack(units/2, units), precision)
					if err != nil {
						t.Fatal(err)
					}
					bytes, _ := m.Bytes()
					check(fmt.Sprintf("precision %d", precision), units/2, units, bytes)
				}
			}
		}
	})
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
				for _, precision := range []Precision{Int14, Int8} {
					m := randomMatrix(t, rng, rows, cols, book.bits, book.levels, rng.IntN(2) == 0)
					q := make([]int16, cols)
					limit := precision.Limit()
					for i := range q {
						switch q[i] = int16(rng.IntN(2*limit+1) - limit); rng.IntN(3) {
						case 0: // the largest sums there are
							q[i] = int16(limit * (1 - 2*rng.IntN(2)))
						case 1: // the smallest
							q[i] = int16(rng.IntN(3) - 1)
						}
					}
					q[rng.IntN(cols)] = int16(-limit)
					name := fmt.Sprintf("%s %d×%d, precision %d", book.name, rows, cols, precision)
					checkIntegers(t, k, name, m, precision, q)
				}
			}
		}
	})
}

func checkIntegers(t *testing.T, k *kernels, name string, m packed.Matrix, precision Precision, q []int16) {
	t.Helper()
	laid, err := newMatrix(k, m, precision)
	if err != nil {
		t.Fatal(err)
	}
	a := NewActivations(laid)
	a.setIntegers(q, 1)
	got := integers(guard.Floats(t, m.Rows))
	unit := laid.integers(got, a)
	want, wantUnit := decodedSums(k, precision, m, q)
	if unit != wantUnit {
		t.Fatalf("%s: got a unit of %v, want %v", name, unit, wantUnit)
	}
	for r := range want {
		if got[r] != want[r] {
			t.Fatalf("%s, row %d: got %d, want %d", name, r, got[r], want[r])
		}
	}
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
		columns, err := NewColumns(randomMatrix(t, rng, 3, 5, book.bits, book.levels, true))
		if err != nil {
			t.Fatal(err)
		}
		if planes != max(0, book.planes) || m.Float32() != (book.planes < 0) || columns.Float32() != (book.planes < 0) {
			t.Errorf("%s: got %d planes, float32 in products %v and in columns %v; want %d planes", book.name, planes, m.Float32(), columns.Float32(), book.planes)
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
			for _, precision := range precisions {
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
	a := NewActivations(m)
	a.Set(x)
	y, scaled := guard.Floats(t, rows), guard.Floats(t, rows)
	m.Multiply(Product{Y: y, X: a})
	scale, shift := x[:min(rows, cols)], x[:min(rows, cols)]
	for len(scale) < rows {
		scale, shift = append(scale, 0.5), append(shift[:len(shift):len(shift)], -1)
	}
	m.Multiply(Product{scaled, a, scale, shift})

	activations := make([]float64, cols)
	most := 0.0
	for c := range x {
		activations[c] = float64(x[c])
		most = max(most, math.Abs(float64(x[c])))
	}
	looksUp := precision != Exact && m.values == nil && m.sums[0].coded == nil
	if looksUp {
		q, factor := a.quantized()
		for c := range x {
			activations[c] = float64(q[c]) * float64(factor)
		}
	}
	// A rounding errs by 2⁻²⁴ of a number that is at most the largest sum there may
	// be, with all signs the same and weights that are the largest of the codebook:
	// others are sums of its planes too. Whole numbers are rounded in the last few
	// operations only, float32 sums in every addition.
	roundings, largest := 8.0, 0.0
	if !looksUp {
		roundings += float64(cols)
	}
	largestWeight := 0.0
	for i := range rows * cols {
		largestWeight = max(largestWeight, math.Abs(float64(packedMatrix.Value(i/cols, i%cols))))
	}
	for _, p := range packedMatrix.Planes {
		for _, level := range p.Levels {
			largestWeight = max(largestWeight, math.Abs(float64(level))*float64(slices.Max(p.Scales)))
		}
	}
	for _, v := range activations {
		largest += largestWeight * math.Abs(v)
	}
	tolerance := roundings * 0x1p-24 * 3 * largest
	for r := range rows {
		want := 0.0
		for c, v := range activations {
			want += float64(packedMatrix.Value(r, c)) * v
		}
		rounded := 0.0
		if precision == Int8 {
			rounded = roundedSums(m, a, r)
		}
		if math.Abs(float64(y[r])-want) > tolerance+rounded {
			t.Fatalf("%s, row %d: got %v, want %v ± %.2g", name, r, y[r], want, tolerance+rounded)
		}
		if looksUp {
			product, weights := 0.0, 0.0
			for c, v := range x {
				product += float64(packedMatrix.Value(r, c)) * float64(v)
				weights += math.Abs(float64(packedMatrix.Value(r, c)))
			}
			if bound := most / float64(precision.Limit()) / 2 * weights; math.Abs(want-product) > bound*(1+1e-3) {
				t.Fatalf("%s, row %d: rounding activations changes %v by %.3g, want at most %.3g", name, r, product, want-product, bound)
			}
		}
		wantScaled := float64(scale[r])*float64(y[r]) + float64(shift[r])
		if math.Abs(float64(scaled[r])-wantScaled) > 4*0x1p-24*(math.Abs(float64(scale[r])*float64(y[r]))+math.Abs(float64(shift[r]))) {
			t.Fatalf("%s, row %d: got %v scaled and shifted, want %v", name, r, scaled[r], wantScaled)
		}
	}
}

// roundedSums is how much the rounded partial sums of Int8 may change row r: half a
// unit each, a unit at most Σ|x| of the group that has the largest, over 126.
func roundedSums(m *Matrix, a *Activations, r int) float64 {
	bound := 0.0
	for _, s := range m.sums {
		if s.coded != nil {
			continue
		}
		l := m.layout(s.planes)
		most, lookUps := 0.0, float64((m.columns+l.group-1)/l.group*s.planes)
		if l.trits {
			lookUps /= 2
		}
		for group := range slices.Chunk(a.x[:m.columns], l.group) {
			sum := 0.0
			for _, v := range group {
				sum += math.Abs(float64(v))
			}
			if l.trits {
				sum *= 2
			}
			most = max(most, sum)
		}
		weight := s.weights[0]
		if len(s.weights) > 1 {
			weight = s.weights[r]
		}
		bound += math.Abs(float64(weight)) * lookUps * most / 126 / 2 * (1 + 1e-2)
	}
	return bound
}

// Columns are those of the reference decoder, bit for bit, and but for rounding
// where they are scaled and added to.
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
	rng := rand.New(rand.NewPCG(uint64(m.Rows), uint64(m.Cols)))
	y, scaled := guard.Floats(t, m.Rows), guard.Floats(t, m.Rows)
	scale, other := randomVector(rng, m.Rows), randomVector(rng, m.Rows)
	workspace := guard.Floats(t, laid.Workspace())
	// Levels that are looked up in two parts are rounded with each part's scale.
	inParts := 0.0
	for _, p := range m.Planes {
		if len(p.Levels) > codedLevels {
			inParts = 0x1p-22 * float64(slices.Max(p.Levels)-p.Levels[0]) * float64(slices.Max(p.Scales))
		}
	}
	for c := range m.Cols {
		laid.Column(y, c, workspace)
		laid.ColumnScaleAdd(scaled, c, scale, other, workspace)
		for r := range y {
			got, want := y[r], m.Value(r, c)
			if math.Float32bits(got) != math.Float32bits(want) && (inParts == 0 || math.Abs(float64(got-want)) > inParts) {
				t.Fatalf("%s, row %d, column %d: got %v, want %v", name, r, c, got, want)
			}
			product := float64(scale[r]) * float64(got)
			wantScaled := product + float64(other[r])
			if want := wantScaled; math.Abs(float64(scaled[r])-want) > 0x1p-23*(math.Abs(product)+math.Abs(want)) {
				t.Fatalf("%s, row %d, column %d: got %v scaled and added, want %v", name, r, c, scaled[r], want)
			}
		}
	}
}

// Rounding is to the nearest whole number, to even between two, the same at
// every level; the largest activation becomes the limit.
func TestQuantization(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	for n := 1; n <= 200; n++ {
		precision := []Precision{Int14, Int8}[n%2]
		limit := float32(precision.Limit())
		x := randomVector(rng, n)
		switch n % 3 {
		case 1: // limit / limit = 1: halves stay halves
			for i := range x {
				x[i] = float32(rng.IntN(2*int(limit))) - limit + 0.5
			}
			x[rng.IntN(n)] = -limit
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
			m, err := newMatrix(forLevel(level), randomMatrix(t, rng, 1, n, 1, codebooks[0].levels, false), precision)
			if err != nil {
				t.Fatal(err)
			}
			a := NewActivations(m)
			a.Set(x)
			q, scale := a.quantized()
			if want := largest / limit; scale != want {
				t.Fatalf("%v, %d activations: got scale %v, want %v", level, n, scale, want)
			}
			for i, v := range x {
				if want := int16(math.RoundToEven(float64(v * (limit / largest)))); q[i] != want {
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
			for i, book := range slices.Concat(codebooks[:4], codebooks[:4]) {
				m, err := newMatrix(k, randomMatrix(t, rng, 70, 21, book.bits, book.levels, false), []Precision{Int14, Int8}[i/4])
				if err != nil {
					t.Fatal(err)
				}
				x := make([]float32, 21)
				x[13] = test.value
				a := NewActivations(m)
				a.Set(x)
				y := make([]float32, 70)
				m.Multiply(Product{Y: y, X: a})
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

// What a product gives does not depend on the others that are computed with it, also
// where the codes are more than a stretch.
func TestProductsTogether(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		rng := rand.New(rand.NewPCG(12, 12))
		const cols = 700
		for _, precision := range precisions {
			small := oneOfEach(t, k, rng, 100, cols, precision)
			large, err := newMatrix(k, randomMatrix(t, rng, 2*stretch*8/cols, cols, codebooks[0].bits, codebooks[0].levels, false), precision)
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range append(small, large) {
				rows := m.rows
				products := make([]Product, 6)
				var want [][]float32
				scale, shift := randomVector(rng, rows), randomVector(rng, rows)
				for n := range products {
					a := NewActivations(m)
					x := randomVector(rng, cols)
					a.Set(x)
					products[n] = Product{Y: make([]float32, rows), X: a}
					if n == 1 {
						products[n].Scale, products[n].Shift = scale, shift
					}
					alone := products[n]
					alone.Y = make([]float32, rows)
					m.Multiply(alone)
					want = append(want, alone.Y)
					a.Set(x)
					if n == 2 {
						a.Set(x) // it would read the codes the other way round
					}
				}
				m.Multiply(products...)
				for n, p := range products {
					if !slices.Equal(p.Y, want[n]) {
						t.Fatalf("matrix %d, precision %d, %d rows: product %d of 6 gives other numbers than alone", i, precision, rows, n)
					}
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
		for _, precision := range precisions {
			matrices := oneOfEach(t, k, rng, rows, cols, precision)
			a := NewActivations(matrices...)
			first, second := randomVector(rng, cols), randomVector(rng, cols)
			y, again, other := make([]float32, rows), make([]float32, rows), make([]float32, rows)
			for i, m := range matrices {
				a.Set(first)
				m.Multiply(Product{Y: y, X: a})
				a.Set(second)
				m.Multiply(Product{Y: other, X: a})
				a.Set(first)
				matrices[(i+1)%len(matrices)].Multiply(Product{Y: other, X: a})
				m.Multiply(Product{Y: again, X: a})
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
		columns, err := newColumns(k, randomPlanes(t, rng, rows, cols))
		if err != nil {
			t.Fatal(err)
		}
		workspace := make([]float32, columns.Workspace())
		for _, precision := range precisions {
			matrices := oneOfEach(t, k, rng, rows, cols, precision)
			a := NewActivations(matrices...)
			x, y, scale, shift := randomVector(rng, cols), make([]float32, rows), make([]float32, rows), make([]float32, rows)
			garbage := testing.AllocsPerRun(10, func() {
				a.Set(x)
				for _, m := range matrices {
					m.Multiply(Product{Y: y, X: a})
					m.Multiply(Product{y, a, scale, shift})
				}
				columns.Column(y, 3, workspace)
				columns.ColumnScaleAdd(y, 3, scale, y, workspace)
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
	coded, err := NewColumns(randomMatrix(t, rng, 3, 5, 3, codebooks[9].levels, false))
	if err != nil {
		t.Fatal(err)
	}
	a := NewActivations(m)
	wider, err := New(randomMatrix(t, rng, 3, 6, 1, codebooks[0].levels, false), Int14)
	if err != nil {
		t.Fatal(err)
	}
	exact, err := New(randomMatrix(t, rng, 3, 5, 1, codebooks[0].levels, false), Exact)
	if err != nil {
		t.Fatal(err)
	}
	var ofInt8 [2]*Matrix
	for i := range ofInt8 {
		if ofInt8[i], err = New(randomMatrix(t, rng, 3, 5, i+1, codebooks[i].levels, false), Int8); err != nil {
			t.Fatal(err)
		}
	}
	binary, ternary := ofInt8[0], ofInt8[1]
	for _, test := range []struct {
		says string
		call func()
	}{
		{"a 3×5 matrix for 4 sums of 5 activations", func() { m.Multiply(Product{Y: make([]float32, 4), X: a}) }},
		{"a 3×5 matrix for 3 sums of 6 activations", func() { m.Multiply(Product{Y: make([]float32, 3), X: NewActivations(wider)}) }},
		{"different precisions", func() { m.Multiply(Product{Y: make([]float32, 3), X: NewActivations(exact)}) }},
		{"2 scales and 3 shifts for a 3×5 matrix", func() { m.Multiply(Product{make([]float32, 3), a, make([]float32, 2), make([]float32, 3)}) }},
		{"vector of 4 elements for activations of 5", func() { a.Set(make([]float32, 4)) }},
		{"activations for matrices of 5 and of 6 columns", func() { NewActivations(m, wider) }},
		{"different precisions", func() { NewActivations(m, exact) }},
		{"made for products with other matrices", func() { ternary.Multiply(Product{Y: make([]float32, 3), X: NewActivations(binary)}) }},
		{"a workspace of 0 elements for columns that need 160", func() { coded.Column(make([]float32, 3), 0, nil) }},
		{"column 5 of a 3×5 matrix", func() { columns.Column(make([]float32, 3), 5, nil) }},
		{"column 0 of a 3×5 matrix into 4 elements", func() { columns.Column(make([]float32, 4), 0, nil) }},
		{"3 scales and 2 others for a column of a 3×5 matrix", func() { columns.ColumnScaleAdd(make([]float32, 3), 0, make([]float32, 3), make([]float32, 2), nil) }},
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
	if _, err := New(packed.Matrix{Rows: 3, Cols: 5}, Int14); err == nil {
		t.Error("got no error for a matrix without data")
	}
	if _, err := NewColumns(packed.Matrix{Rows: 3, Cols: 5}); err == nil {
		t.Error("got no error for columns without data")
	}
	wide, err := packed.Pack(1, MaxColumns+1, packed.Codes{Bits: 1, Codes: make([]uint16, MaxColumns+1), Levels: []float32{-1, 1}, Scales: []float32{1}})
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
		for _, precision := range []Precision{Int14, Int8} {
			q := make([]int16, MaxColumns)
			codes := make([]uint16, MaxColumns)
			for i := range q {
				q[i], codes[i] = int16(precision.Limit()), 2
			}
			m, err := packed.Pack(1, MaxColumns, packed.Codes{Bits: 2, Codes: codes, Levels: []float32{-1, 0, 1}, Scales: []float32{1}})
			if err != nil {
				t.Fatal(err)
			}
			checkIntegers(t, k, fmt.Sprintf("precision %d", precision), m, precision, q)
		}
	})
}

// Any sizes, codes and activations give the sums of the reference decoder.
func FuzzIntegers(f *testing.F) {
	f.Add(uint8(3), uint16(5), true, false, uint64(1))
	f.Add(uint8(65), uint16(1030), false, true, uint64(2))
	f.Add(uint8(65), uint16(1030), true, true, uint64(3))
	f.Fuzz(func(t *testing.T, rows uint8, cols uint16, ternary, eight bool, seed uint64) {
		if rows == 0 || cols == 0 || cols > 3000 {
			return
		}
		book, precision := codebooks[0], Int14
		if ternary {
			book = codebooks[1]
		}
		if eight {
			precision = Int8
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		m := randomMatrix(t, rng, int(rows), int(cols), book.bits, book.levels, false)
		limit := precision.Limit()
		q := make([]int16, cols)
		for i := range q {
			q[i] = int16(rng.IntN(2*limit+1) - limit)
		}
		q[rng.IntN(len(q))] = int16(limit)
		for _, level := range isa.Available() {
			checkIntegers(t, forLevel(level), fmt.Sprintf("%v, %d×%d", level, rows, cols), m, precision, q)
		}
	})
}

// Any sizes, codebooks, codes and activations give the products and columns of the
// reference decoder.
func FuzzProducts(f *testing.F) {
	f.Add(uint8(3), uint16(5), uint8(0), uint8(0), false, uint64(1))
	f.Add(uint8(65), uint16(1030), uint8(1), uint8(1), true, uint64(2))
	f.Add(uint8(17), uint16(33), uint8(8), uint8(2), true, uint64(3))
	f.Fuzz(func(t *testing.T, rows uint8, cols uint16, book, precise uint8, perRow bool, seed uint64) {
		if rows == 0 || cols == 0 || cols > 3000 {
			return
		}
		b := codebooks[int(book)%len(codebooks)]
		precision := precisions[int(precise)%len(precisions)]
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
