package packed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomMatrix has codes over the whole codebook of the given number of levels.
func randomMatrix(t *testing.T, rng *rand.Rand, rows, cols, bits, count int, perRow bool) (Matrix, []uint16) {
	t.Helper()
	codes := make([]uint16, rows*cols)
	for i := range codes {
		codes[i] = uint16(rng.IntN(count))
	}
	books := 1
	if perRow {
		books = rows
	}
	levels := make([]float32, books*count)
	for i := range levels {
		levels[i] = float32(rng.NormFloat64())
	}
	m, err := Pack(codes, rows, cols, bits, levels, perRow)
	if err != nil {
		t.Fatalf("Pack %d×%d of %d bits: %v", rows, cols, bits, err)
	}
	return m, codes
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for bits := 1; bits <= MaxBits; bits++ {
		for _, rows := range []int{1, 2, 5} {
			for _, cols := range []int{1, 3, 7, 8, 21, 22, 31, 32, 33, 63, 64, 65, 100, 129} {
				for _, perRow := range []bool{false, true} {
					count := max(1, 1<<bits-rng.IntN(2))
					m, codes := randomMatrix(t, rng, rows, cols, bits, count, perRow)
					name := fmt.Sprintf("%d×%d of %d bits, per row %v", rows, cols, bits, perRow)
					if err := m.Validate(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if got := m.Unpack(); !slices.Equal(got, codes) {
						t.Fatalf("%s: got codes %v, want %v", name, got, codes)
					}
					for i, got := range m.Decode() {
						r, c := i/cols, i%cols
						want := m.Levels[codes[i]]
						if perRow {
							want = m.Levels[r*count+int(codes[i])]
						}
						if got != want || m.Value(r, c) != want {
							t.Fatalf("%s at %d, %d: got %v and %v, want %v", name, r, c, got, m.Value(r, c), want)
						}
					}
				}
			}
		}
	}
}

// The drawing of the package documentation, byte for byte.
func TestTernaryDrawing(t *testing.T) {
	t.Parallel()
	const alpha = 0.25
	m, err := Pack([]uint16{2, 0, 1, 1, 2, 0}, 1, 6, 2, []float32{-alpha, 0, alpha}, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte{0b01_01_00_10, 0b0000_00_10, 0, 0, 0, 0, 0, 0}; !slices.Equal(m.Data, want) {
		t.Errorf("got bytes %08b, want %08b", m.Data, want)
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
	m, err := Pack(codes, 1, 22, 3, make([]float32, 8), false)
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0b10, 0, 0, 0, 0, 0, 0, 0}; !slices.Equal(m.Data, want) {
		t.Errorf("got bytes %x, want %x", m.Data, want)
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
	for i, got := range m.Decode() {
		if math.Float32bits(got) != math.Float32bits(values[i]) {
			t.Errorf("value %d: got %v, want %v", i, got, values[i])
		}
	}
	if got, want := m.Data[:4], []byte{0, 0, 0x80, 0x3f}; !slices.Equal(got, want) {
		t.Errorf("1.0 is stored as %x, want %x (little-endian)", got, want)
	}
}

// War & Peace at 512 units and 87 symbols, one bit: the recurrent matrix is
// 2048·512/8 bytes; the input matrix pads 87 bits to 128.
func TestBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		m               Matrix
		codes, codebook int
	}{
		{Matrix{Rows: 2048, Cols: 512, Bits: 1, Levels: make([]float32, 2)}, 131072, 8},
		{Matrix{Rows: 2048, Cols: 87, Bits: 1, Levels: make([]float32, 2)}, 32768, 8},
		{Matrix{Rows: 2048, Cols: 512, Bits: 2, Levels: make([]float32, 3*2048), PerRow: true}, 262144, 24576},
		{Matrix{Rows: 87, Cols: 513, Bits: 32}, 4 * 87 * 513, 0},
	} {
		if got := test.m.CodeBytes(); got != test.codes {
			t.Errorf("%d×%d of %d bits: got %d bytes of codes, want %d", test.m.Rows, test.m.Cols, test.m.Bits, got, test.codes)
		}
		if got := test.m.LevelBytes(); got != test.codebook {
			t.Errorf("%d×%d of %d bits: got %d bytes of levels, want %d", test.m.Rows, test.m.Cols, test.m.Bits, got, test.codebook)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	infinite, nan := float32(math.Inf(1)), float32(math.NaN())
	two := []float32{-1, 1}
	valid := func() Matrix {
		m, err := Pack([]uint16{0, 1, 1, 0, 1, 0}, 2, 3, 2, []float32{-1, 0, 1}, false)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	broken := func(change func(*Matrix)) error {
		m := valid()
		change(&m)
		return m.Validate()
	}
	pack := func(codes []uint16, rows, cols, bits int, levels []float32, perRow bool) error {
		_, err := Pack(codes, rows, cols, bits, levels, perRow)
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
		{pack(make([]uint16, 5), 2, 3, 1, two, false), "5 codes for a 2×3 matrix, which has 6"},
		{pack([]uint16{2}, 1, 1, 1, two, false), "code 2 at row 0, column 0 lies beyond the codebook of 2 levels"},
		{pack([]uint16{0}, 1, 1, 17, two, false), "17 bits"},
		{pack([]uint16{0}, 1, 1, 0, two, false), "0 bits"},
		{pack([]uint16{0}, 1, 1, 32, nil, false), "FromValues"},
		{pack(nil, 0, 3, 1, two, false), "0×3"},
		{pack(nil, -1, 3, 1, two, false), "-1×3"},
		{pack(nil, math.MaxInt32, math.MaxInt32, 1, two, false), "no shape"},
		{pack([]uint16{0}, 1, 1, 1, nil, false), "codebook of 0 levels"},
		{pack([]uint16{0}, 1, 1, 1, make([]float32, 3), false), "codebook of 3 levels for 1-bit codes"},
		{pack([]uint16{0, 0}, 2, 1, 1, make([]float32, 3), true), "do not split evenly over the 2 rows"},
		{pack([]uint16{0}, 1, 1, 1, []float32{0, infinite}, false), "level 1 is +Inf"},
		{fromValues([]float32{1}, 1, 2), "1 values for a 1×2 matrix"},
		{fromValues([]float32{1, nan}, 1, 2), "row 0, column 1 is NaN"},
		{broken(func(m *Matrix) { m.Data = m.Data[:15] }), "15 bytes of data for a 2×3 matrix of 2 bits, which has 16"},
		{broken(func(m *Matrix) { m.Data[8] |= 3 }), "code 3 at row 1, column 0"},
		{broken(func(m *Matrix) { m.Data[7] |= 0x80 }), "padding of row 0"},
		{broken(func(m *Matrix) { m.Data[8] |= 0x40 }), "padding of row 1"},
		{broken(func(m *Matrix) { m.Bits = 32 }), "3 levels for a full-precision matrix"},
		{broken(func(m *Matrix) { m.Cols = 0 }), "2×0"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("got error %v, want one that says %q", test.err, test.says)
		}
	}
}

// Any bytes either fail Validate or decode, and decoding and packing again give
// the same bytes.
func FuzzValidate(f *testing.F) {
	f.Add(2, 3, 2, 3, false, make([]byte, 16))
	f.Add(1, 22, 3, 8, true, make([]byte, 16))
	f.Add(2, 2, 32, 0, false, make([]byte, 16))
	f.Add(-1, 1<<62, 1, 2, false, []byte{1})
	f.Fuzz(func(t *testing.T, rows, cols, bits, levels int, perRow bool, data []byte) {
		if levels < 0 || levels > 1<<12 {
			return
		}
		m := Matrix{Rows: rows, Cols: cols, Bits: bits, Levels: make([]float32, levels), PerRow: perRow, Data: data}
		if m.Validate() != nil {
			return
		}
		values := m.Decode()
		var again Matrix
		var err error
		if bits == FullPrecision {
			again, err = FromValues(values, rows, cols)
		} else {
			again, err = Pack(m.Unpack(), rows, cols, bits, m.Levels, perRow)
		}
		if err != nil {
			t.Fatalf("%d×%d of %d bits decodes but does not pack: %v", rows, cols, bits, err)
		}
		if !slices.Equal(again.Data, data) {
			t.Errorf("%d×%d of %d bits: packed again %x, want %x", rows, cols, bits, again.Data, data)
		}
	})
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Matrix{
		"float32":                 {Rows: 2, Cols: 3, Bits: FullPrecision},
		"3 levels, 2 bits":        {Rows: 2, Cols: 3, Bits: 2, Levels: make([]float32, 3)},
		"16 levels a row, 4 bits": {Rows: 2, Cols: 3, Bits: 4, Levels: make([]float32, 32), PerRow: true},
		"2 levels, 1 bit":         {Rows: 2, Cols: 3, Bits: 1, Levels: make([]float32, 2)},
	} {
		if got := m.Format(); got != want {
			t.Errorf("Format = %q, want %q", got, want)
		}
	}
}
