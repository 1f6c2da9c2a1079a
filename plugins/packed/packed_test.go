package packed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomCodes is a plane with codes over all of count levels.
func randomCodes(rng *rand.Rand, rows, cols, bits, count int, perRow bool) Codes {
	c := Codes{Bits: bits, Codes: make([]uint16, rows*cols), Levels: make([]float32, count), Scales: make([]float32, 1)}
	for i := range c.Codes {
		c.Codes[i] = uint16(rng.IntN(count))
	}
	if perRow {
		c.Scales = make([]float32, rows)
	}
	for _, values := range [][]float32{c.Levels, c.Scales} {
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for bits := 1; bits <= MaxBits; bits++ {
		for _, rows := range []int{1, 2, 5} {
			for _, cols := range []int{1, 3, 7, 8, 21, 22, 31, 32, 33, 63, 64, 65, 100, 129} {
				for _, perRow := range []bool{false, true} {
					for planes := 1; planes <= 3; planes++ {
						checkRoundTrip(t, rng, rows, cols, bits, planes, perRow)
					}
				}
			}
		}
	}
}

// The planes after the first have 1 and 2 bits.
func checkRoundTrip(t *testing.T, rng *rand.Rand, rows, cols, bits, planes int, perRow bool) {
	t.Helper()
	name := fmt.Sprintf("%d×%d of %d planes, the first of %d bits, per row %v", rows, cols, planes, bits, perRow)
	var all []Codes
	for i := range planes {
		width := [3]int{bits, 1, 2}[i]
		all = append(all, randomCodes(rng, rows, cols, width, max(1, 1<<width-rng.IntN(2)), perRow != (i == 1)))
	}
	m, err := Pack(rows, cols, all...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := m.Validate(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got, want := m.Bits(), [3]int{bits, bits + 1, bits + 3}[planes-1]; got != want {
		t.Fatalf("%s: got %d bits a weight, want %d", name, got, want)
	}
	for i, plane := range all {
		if got := m.Codes(i); !slices.Equal(got, plane.Codes) {
			t.Fatalf("%s: got codes %v of plane %d, want %v", name, got, i, plane.Codes)
		}
	}
	for i, got := range m.Decode() {
		r, c := i/cols, i%cols
		var want float32
		for k, plane := range all {
			scale := plane.Scales[0]
			if len(plane.Scales) > 1 {
				scale = plane.Scales[r]
			}
			// Rounded before it is added: no multiply-add in one.
			if product := float32(scale * plane.Levels[plane.Codes[i]]); k == 0 {
				want = product
			} else {
				want = float32(want + product)
			}
		}
		if got != want || m.Value(r, c) != want {
			t.Fatalf("%s at %d, %d: got %v and %v, want %v", name, r, c, got, m.Value(r, c), want)
		}
	}
}

// Two planes α₁b₁ + α₂b₂ with scales per row, by hand.
func TestTwoPlanes(t *testing.T) {
	t.Parallel()
	signs := []float32{-1, 1}
	m, err := Pack(2, 2,
		Codes{Bits: 1, Codes: []uint16{0, 1, 1, 0}, Levels: signs, Scales: []float32{1, 0.5}},
		Codes{Bits: 1, Codes: []uint16{0, 0, 1, 1}, Levels: signs, Scales: []float32{0.25, 0.125}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Decode(), []float32{-1.25, 0.75, 0.625, -0.375}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The drawing of the package documentation, byte for byte.
func TestTernaryDrawing(t *testing.T) {
	t.Parallel()
	const alpha = 0.25
	m, err := Pack(1, 6, Codes{Bits: 2, Codes: []uint16{2, 0, 1, 1, 2, 0}, Levels: []float32{-1, 0, 1}, Scales: []float32{alpha}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Planes[0].Data, []byte{0b01_01_00_10, 0b0000_00_10, 0, 0, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got bytes %08b, want %08b", got, want)
	}
	if got, want := m.Decode(), []float32{alpha, -alpha, 0, 0, alpha, -alpha}; !slices.Equal(got, want) {
		t.Errorf("got values %v, want %v", got, want)
	}
}

// Codes of 3 bits: the 22nd lies in bits 63 to 65 of the row.
func TestStraddlingWords(t *testing.T) {
	t.Parallel()
	codes := make([]uint16, 22)
	codes[21] = 0b101
	m, err := Pack(1, 22, Codes{Bits: 3, Codes: codes, Levels: make([]float32, 8), Scales: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Planes[0].Data, []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0b10, 0, 0, 0, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got bytes %x, want %x", got, want)
	}
}

func TestFullPrecision(t *testing.T) {
	t.Parallel()
	values := []float32{1, -2, 0.5, float32(math.Copysign(0, -1)), math.MaxFloat32, math.SmallestNonzeroFloat32}
	m, err := FromValues(values, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if m.Bits() != FullPrecision {
		t.Errorf("got %d bits, want %d", m.Bits(), FullPrecision)
	}
	for i, got := range m.Decode() {
		if math.Float32bits(got) != math.Float32bits(values[i]) || math.Float32bits(m.Value(i/3, i%3)) != math.Float32bits(values[i]) {
			t.Errorf("value %d: got %v and %v, want %v", i, got, m.Value(i/3, i%3), values[i])
		}
	}
	if got, want := m.Values[:4], []byte{0, 0, 0x80, 0x3f}; !slices.Equal(got, want) {
		t.Errorf("1.0 is stored as %x, want %x (little-endian)", got, want)
	}
}

// War & Peace at 512 units and 87 symbols, one bit: the recurrent matrix is
// 2048·512/8 bytes; the input matrix pads 87 bits to 128.
func TestBytes(t *testing.T) {
	t.Parallel()
	plane := func(bits, levels, scales int) Plane {
		return Plane{Bits: bits, Levels: make([]float32, levels), Scales: make([]float32, scales)}
	}
	for _, test := range []struct {
		m             Matrix
		codes, levels int
	}{
		{Matrix{Rows: 2048, Cols: 512, Planes: []Plane{plane(1, 2, 1)}}, 131072, 12},
		{Matrix{Rows: 2048, Cols: 87, Planes: []Plane{plane(1, 2, 1)}}, 32768, 12},
		{Matrix{Rows: 2048, Cols: 512, Planes: []Plane{plane(2, 3, 2048)}}, 262144, 12 + 8192},
		{Matrix{Rows: 2048, Cols: 512, Planes: []Plane{plane(1, 2, 2048), plane(1, 2, 2048)}}, 2 * 131072, 2 * (8 + 8192)},
		{Matrix{Rows: 87, Cols: 513}, 4 * 87 * 513, 0},
	} {
		if got := test.m.CodeBytes(); got != test.codes {
			t.Errorf("%d×%d, %s: got %d bytes of codes, want %d", test.m.Rows, test.m.Cols, test.m.Format(), got, test.codes)
		}
		if got := test.m.LevelBytes(); got != test.levels {
			t.Errorf("%d×%d, %s: got %d bytes of levels and scales, want %d", test.m.Rows, test.m.Cols, test.m.Format(), got, test.levels)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	infinite, nan := float32(math.Inf(1)), float32(math.NaN())
	two, one := []float32{-1, 1}, []float32{1}
	ternary := Codes{Bits: 2, Codes: []uint16{0, 1, 1, 0, 1, 0}, Levels: []float32{-1, 0, 1}, Scales: one}
	broken := func(change func(*Matrix)) error {
		m, err := Pack(2, 3, ternary, ternary)
		if err != nil {
			t.Fatal(err)
		}
		change(&m)
		return m.Validate()
	}
	pack := func(rows, cols int, planes ...Codes) error {
		_, err := Pack(rows, cols, planes...)
		return err
	}
	fromValues := func(values []float32, rows, cols int) error {
		_, err := FromValues(values, rows, cols)
		return err
	}
	for _, test := range []struct {
		err  error
		says string
	}{
		{pack(2, 3, Codes{1, make([]uint16, 5), two, one}), "5 codes for a 2×3 matrix, which has 6"},
		{pack(1, 1, Codes{1, []uint16{2}, two, one}), "code 2 at row 0, column 0 lies beyond the 2 levels"},
		{pack(1, 1, Codes{17, []uint16{0}, two, one}), "17 bits"},
		{pack(1, 1, Codes{0, []uint16{0}, two, one}), "0 bits"},
		{pack(1, 1), "FromValues"},
		{pack(1, 1, make([]Codes, 17)...), "17 planes; a matrix has at most 16"},
		{pack(0, 3, Codes{1, nil, two, one}), "0×3"},
		{pack(-1, 3, Codes{1, nil, two, one}), "-1×3"},
		{pack(math.MaxInt32, math.MaxInt32, Codes{1, nil, two, one}), "no shape"},
		{pack(1, 1, Codes{1, []uint16{0}, nil, one}), "0 levels for 1-bit codes"},
		{pack(1, 1, Codes{1, []uint16{0}, make([]float32, 3), one}), "3 levels for 1-bit codes"},
		{pack(2, 1, Codes{1, []uint16{0, 0}, two, nil}), "0 scales for 2 rows"},
		{pack(3, 1, Codes{1, []uint16{0, 0, 0}, two, two}), "2 scales for 3 rows"},
		{pack(1, 1, Codes{1, []uint16{0}, []float32{0, infinite}, one}), "level 1 is +Inf"},
		{pack(1, 1, Codes{1, []uint16{0}, two, []float32{nan}}), "scale 0 is NaN"},
		{pack(1, 1, Codes{1, []uint16{0}, []float32{-1e30, 1}, []float32{1e30}}), "which float32 cannot hold"},
		{pack(1, 1, Codes{1, []uint16{0}, two, one}, Codes{1, []uint16{9}, two, one}), "plane 1: code 9"},
		{fromValues([]float32{1}, 1, 2), "1 values for a 1×2 matrix"},
		{fromValues([]float32{1, nan}, 1, 2), "row 0, column 1 is NaN"},
		{broken(func(m *Matrix) { m.Planes[0].Data = m.Planes[0].Data[:15] }), "plane 0: 15 bytes of data for a 2×3 matrix of 2 bits, which has 16"},
		{broken(func(m *Matrix) { m.Planes[1].Data[8] |= 3 }), "plane 1: code 3 at row 1, column 0"},
		{broken(func(m *Matrix) { m.Planes[0].Data[7] |= 0x80 }), "padding of row 0"},
		{broken(func(m *Matrix) { m.Planes[0].Data[8] |= 0x40 }), "padding of row 1"},
		{broken(func(m *Matrix) { m.Values = make([]byte, 24) }), "24 bytes of full-precision values beside 2 planes"},
		{broken(func(m *Matrix) { m.Planes = nil }), "0 bytes of values for a 2×3 matrix of full precision, which has 24"},
		{broken(func(m *Matrix) { m.Planes = make([]Plane, 17) }), "17 planes"},
		{broken(func(m *Matrix) { m.Planes[1].Scales = []float32{infinite} }), "plane 1: scale 0 is +Inf"},
		{broken(func(m *Matrix) { m.Cols = 0 }), "2×0"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("got error %v, want one that says %q", test.err, test.says)
		}
	}
}

// Any bytes either fail Validate or decode, and decoding and packing again give
// the same bytes. Data holds the planes one after another, the first of the given
// bits, all others of one bit less.
func FuzzValidate(f *testing.F) {
	f.Add(2, 3, 2, 3, 1, false, make([]byte, 16))
	f.Add(1, 22, 3, 8, 2, true, make([]byte, 32))
	f.Add(2, 2, 32, 0, 0, false, make([]byte, 16))
	f.Add(-1, 1<<62, 1, 2, 1, false, []byte{1})
	f.Fuzz(func(t *testing.T, rows, cols, bits, levels, planes int, perRow bool, data []byte) {
		if levels < 0 || levels > 1<<12 || planes < 0 || planes > 20 || rows > 1<<12 {
			return
		}
		m := Matrix{Rows: rows, Cols: cols}
		if planes == 0 {
			m.Values = data
		}
		for i := range planes {
			p := Plane{Bits: bits - min(i, 1), Levels: make([]float32, max(0, levels-min(i, 1))), Scales: make([]float32, 1)}
			if perRow {
				p.Scales = make([]float32, max(0, rows))
			}
			p.Data = data[len(data)*i/planes : len(data)*(i+1)/planes]
			m.Planes = append(m.Planes, p)
		}
		if m.Validate() != nil {
			return
		}
		values := m.Decode()
		var again Matrix
		var err error
		if planes == 0 {
			again, err = FromValues(values, rows, cols)
		} else {
			var all []Codes
			for i, p := range m.Planes {
				all = append(all, Codes{p.Bits, m.Codes(i), p.Levels, p.Scales})
			}
			again, err = Pack(rows, cols, all...)
		}
		if err != nil {
			t.Fatalf("%d×%d, %s decodes but does not pack: %v", rows, cols, m.Format(), err)
		}
		if !Equal(again, m) {
			t.Errorf("%d×%d, %s: packed again %+v, want %+v", rows, cols, m.Format(), again, m)
		}
	})
}

// Whatever a matrix decodes from makes two differ.
func TestEqual(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	all := []Codes{randomCodes(rng, 2, 3, 2, 4, true), randomCodes(rng, 2, 3, 1, 2, false)}
	pack := func() Matrix {
		m, err := Pack(2, 3, all...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Planes {
			m.Planes[i].Levels, m.Planes[i].Scales = slices.Clone(m.Planes[i].Levels), slices.Clone(m.Planes[i].Scales)
		}
		return m
	}
	if !Equal(pack(), pack()) {
		t.Error("two matrices of the same codes differ")
	}
	for what, change := range map[string]func(*Matrix){
		"a code":  func(m *Matrix) { m.Planes[1].Data[0] ^= 1 },
		"a level": func(m *Matrix) { m.Planes[0].Levels[1]++ },
		"a scale": func(m *Matrix) { m.Planes[0].Scales[1]++ },
		"a plane": func(m *Matrix) { m.Planes = m.Planes[:1] },
		"values":  func(m *Matrix) { m.Values = []byte{1} },
	} {
		m := pack()
		if change(&m); Equal(pack(), m) {
			t.Errorf("matrices that differ in %s are equal", what)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	plane := func(bits, levels, scales int) Plane {
		return Plane{Bits: bits, Levels: make([]float32, levels), Scales: make([]float32, scales)}
	}
	for want, planes := range map[string][]Plane{
		"float32":                             nil,
		"3 levels, 2 bits":                    {plane(2, 3, 1)},
		"16 levels, 4 bits, a scale a row":    {plane(4, 16, 2)},
		"2 levels, 1 bit":                     {plane(1, 2, 1)},
		"2 planes of 1 bit, a scale a row":    {plane(1, 2, 2), plane(1, 2, 2)},
		"3 planes of 2 bits":                  {plane(2, 4, 1), plane(2, 4, 1), plane(2, 3, 1)},
		"2 planes of 1+2 bits, a scale a row": {plane(1, 2, 1), plane(2, 3, 2)},
	} {
		if got := (Matrix{Rows: 2, Cols: 3, Planes: planes}).Format(); got != want {
			t.Errorf("Format = %q, want %q", got, want)
		}
	}
}
