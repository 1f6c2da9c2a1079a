// Package packed is the bit layout of deployed weights: what is stored, what
// crosses to a backend, and what the memory columns count.
//
// # Planes
//
// A weight matrix is stored as one or more planes. A plane has a code of 1 to 16
// bits for each weight, levels that say what a code stands for, and scales that the
// levels are multiples of: one scale for the matrix, or one for each row. A weight is
//
//	Σ scale·level   over the planes, in order
//
// where each product is rounded to float32 and the sum is added in float32. Levels
// hold that of code 0, then of code 1, and so on, once for the matrix. They may be
// fewer than 1<<Bits (ternary has 3 levels of 2 bits); no code may lie beyond them.
// Every quantizer keeps this order:
//
//	binary      1 plane   1 bit    levels −1 +1
//	ternary     1 plane   2 bits   levels −1 0 +1
//	asymmetric  1 plane   2 bits   levels −a 0 +b
//	uniform     1 plane   k bits   whole numbers in rising order; the scale is the step
//	multi-bit   k planes  1 bit    levels −1 +1, each plane with scales of its own
//
// # Layout
//
// The codes of a plane lie row by row, column after column, the least significant
// bit first; a code may straddle two bytes. Each row is padded with zero bits to a
// whole number of 8-byte words, so row r starts at byte r·8·⌈Cols·Bits/64⌉. Padding
// to a word lets a reader take a row in 64-bit loads without ever touching the next
// row and costs at most 63 bits a row: under 2 % from 4,000 bits on.
//
// Ternary codes 2 0 1 1 2 0 (2 bits, 6 columns), i.e. +α −α 0 0 +α −α:
//
//	byte     0                         1                         2 … 7
//	bit      7 6   5 4   3 2   1 0     7 6   5 4   3 2   1 0
//	       ┌─────┬─────┬─────┬─────┐ ┌───────────┬─────┬─────┐ ┌───────────┐
//	       │ 0 1 │ 0 1 │ 0 0 │ 1 0 │ │  0 0 0 0  │ 0 0 │ 1 0 │ │     0     │
//	       └─────┴─────┴─────┴─────┘ └───────────┴─────┴─────┘ └───────────┘
//	column    3     2     1     0       padding     5     4       padding
//
// Full precision has no planes. It is stored as little-endian float32 values row by
// row, without padding: 32 bits.
package packed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxBits is the widest code and MaxPlanes the most planes; FullPrecision is the
// width of a weight that is a float32 value.
const (
	MaxBits       = 16
	MaxPlanes     = 16
	FullPrecision = 32
)

// Matrix is a weight matrix as deployed: Rows outputs by Cols inputs.
type Matrix struct {
	Rows, Cols int
	Planes     []Plane // none: full precision
	Values     []byte  // full precision alone: little-endian float32, row by row
}

// Plane is a code for each weight of a matrix, and what it stands for.
type Plane struct {
	Bits   int       // width of a code
	Levels []float32 // by code, as multiples of the scale
	Scales []float32 // one for the matrix, or one a row
	Data   []byte    // codes; see the package documentation
}

// Codes is a plane whose codes are not laid out yet.
type Codes struct {
	Bits   int
	Codes  []uint16 // row by row
	Levels []float32
	Scales []float32
}

// Equal says whether two matrices are the same, bit for bit.
func Equal(a, b Matrix) bool {
	return a.Rows == b.Rows && a.Cols == b.Cols && bytes.Equal(a.Values, b.Values) &&
		slices.EqualFunc(a.Planes, b.Planes, func(p, q Plane) bool {
			return p.Bits == q.Bits && slices.Equal(p.Levels, q.Levels) && slices.Equal(p.Scales, q.Scales) && bytes.Equal(p.Data, q.Data)
		})
}

// Pack lays out a matrix of one or more planes, of rows·cols codes each. The result shares
// levels and scales with the planes.
func Pack(rows, cols int, planes ...Codes) (Matrix, error) {
	m := Matrix{Rows: rows, Cols: cols}
	if err := m.validateShape(); err != nil {
		return Matrix{}, err
	}
	if len(planes) == 0 {
		return Matrix{}, fmt.Errorf("packed: no planes of codes; pack full precision with FromValues")
	}
	if len(planes) > MaxPlanes {
		return Matrix{}, fmt.Errorf("packed: %d planes; a matrix has at most %d", len(planes), MaxPlanes)
	}
	for i, codes := range planes {
		p, err := codes.pack(rows, cols)
		if err != nil {
			return Matrix{}, ofPlane(err, i, len(planes))
		}
		m.Planes = append(m.Planes, p)
	}
	if err := m.validateSums(); err != nil {
		return Matrix{}, err
	}
	return m, nil
}

func (c Codes) pack(rows, cols int) (Plane, error) {
	p := Plane{Bits: c.Bits, Levels: c.Levels, Scales: c.Scales}
	if err := p.validateNumbers(rows); err != nil {
		return Plane{}, err
	}
	if len(c.Codes) != rows*cols {
		return Plane{}, fmt.Errorf("%d codes for a %d×%d matrix, which has %d", len(c.Codes), rows, cols, rows*cols)
	}
	n := p.RowBytes(cols)
	p.Data = make([]byte, rows*n)
	for r := range rows {
		codes := c.Codes[r*cols : (r+1)*cols]
		for col, code := range codes {
			if int(code) >= len(c.Levels) {
				return Plane{}, fmt.Errorf("code %d at row %d, column %d lies beyond the %d levels", code, r, col, len(c.Levels))
			}
		}
		layOut(p.Data[r*n:][:n], codes, c.Bits)
	}
	return p, nil
}

// FromValues lays out rows×cols values in full precision.
func FromValues(values []float32, rows, cols int) (Matrix, error) {
	m := Matrix{Rows: rows, Cols: cols}
	if err := m.validateShape(); err != nil {
		return Matrix{}, err
	}
	if len(values) != rows*cols {
		return Matrix{}, fmt.Errorf("packed: %d values for a %d×%d matrix, which has %d", len(values), rows, cols, rows*cols)
	}
	m.Values = make([]byte, 4*len(values))
	for i, v := range values {
		if !finite(v) {
			return Matrix{}, fmt.Errorf("packed: value at row %d, column %d is %v", i/cols, i%cols, v)
		}
		binary.LittleEndian.PutUint32(m.Values[4*i:], math.Float32bits(v))
	}
	return m, nil
}

// Bits is the width of a weight: that of the codes of all planes together, or
// [FullPrecision].
func (m Matrix) Bits() int {
	if len(m.Planes) == 0 {
		return FullPrecision
	}
	bits := 0
	for _, p := range m.Planes {
		bits += p.Bits
	}
	return bits
}

// Codes returns the codes of a plane row by row. m must be valid.
func (m Matrix) Codes(plane int) []uint16 {
	p := m.Planes[plane]
	codes := make([]uint16, m.Rows*m.Cols)
	for r := range m.Rows {
		p.read(codes[r*m.Cols:][:m.Cols], r)
	}
	return codes
}

// Value returns the weight at row r, column c. m must be valid.
func (m Matrix) Value(r, c int) float32 {
	if len(m.Planes) == 0 {
		return math.Float32frombits(binary.LittleEndian.Uint32(m.Values[4*(r*m.Cols+c):]))
	}
	value := m.Planes[0].value(r, c, m.Cols)
	for _, p := range m.Planes[1:] {
		value += p.value(r, c, m.Cols)
	}
	return value
}

func (p Plane) value(r, c, cols int) float32 {
	return float32(p.Scale(r) * p.Levels[get(p.Data[r*p.RowBytes(cols):], c*p.Bits, p.Bits)])
}

// Scale is the scale of row r.
func (p Plane) Scale(r int) float32 {
	if len(p.Scales) == 1 {
		return p.Scales[0]
	}
	return p.Scales[r]
}

// Decode returns the Rows·Cols weights row by row. It is the reference that every kernel is
// compared with. m must be valid.
func (m Matrix) Decode() []float32 {
	values := make([]float32, m.Rows*m.Cols)
	m.DecodeTo(values)
	return values
}

// DecodeTo is Decode into memory of the caller's, Rows·Cols elements.
func (m Matrix) DecodeTo(values []float32) {
	if len(m.Planes) == 0 {
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(m.Values[4*i:]))
		}
		return
	}
	codes := make([]uint16, m.Cols)
	for i, p := range m.Planes {
		for r := range m.Rows {
			p.read(codes, r)
			scale, row := p.Scale(r), values[r*m.Cols:][:m.Cols]
			for c, code := range codes {
				value := float32(scale * p.Levels[code])
				if i == 0 {
					row[c] = value
				} else {
					row[c] += value
				}
			}
		}
	}
}

// RowBytes is the storage of the codes of one row of cols columns, padding included.
func (p Plane) RowBytes(cols int) int { return (cols*p.Bits + 63) / 64 * 8 }

// CodeBytes is the storage of the codes of all planes (or full-precision values),
// padding included. The paper's accounting, Rows·Cols·Bits/8, has no padding.
func (m Matrix) CodeBytes() int {
	if len(m.Planes) == 0 {
		return 4 * m.Rows * m.Cols
	}
	bytes := 0
	for _, p := range m.Planes {
		bytes += m.Rows * p.RowBytes(m.Cols)
	}
	return bytes
}

// LevelBytes is the storage of the levels and scales of all planes.
func (m Matrix) LevelBytes() int {
	bytes := 0
	for _, p := range m.Planes {
		bytes += 4 * (len(p.Levels) + len(p.Scales))
	}
	return bytes
}

// Format names the format in words: "float32", the levels of one plane and the width of its
// codes, as in "3 levels, 2 bits", or the planes, as in "2 planes of 1 bit". "a scale a row"
// follows if a plane has a scale for each row.
func (m Matrix) Format() string {
	width := func(bits int) string {
		if bits == 1 {
			return "1 bit"
		}
		return fmt.Sprintf("%d bits", bits)
	}
	var words string
	switch planes := len(m.Planes); planes {
	case 0:
		return "float32"
	case 1:
		words = fmt.Sprintf("%d levels, %s", len(m.Planes[0].Levels), width(m.Planes[0].Bits))
	default:
		bits := m.Planes[0].Bits
		if slices.ContainsFunc(m.Planes, func(p Plane) bool { return p.Bits != bits }) {
			var widths []string
			for _, p := range m.Planes {
				widths = append(widths, fmt.Sprint(p.Bits))
			}
			words = fmt.Sprintf("%d planes of %s bits", planes, strings.Join(widths, "+"))
		} else {
			words = fmt.Sprintf("%d planes of %s", planes, width(bits))
		}
	}
	if slices.ContainsFunc(m.Planes, func(p Plane) bool { return len(p.Scales) > 1 }) {
		words += ", a scale a row"
	}
	return words
}

// Validate returns an error that names what is wrong with the matrix: its shape, the
// levels, scales or codes of a plane, the length of its data, a weight that is no
// number, or padding that is not zero.
func (m Matrix) Validate() error {
	if err := m.validateShape(); err != nil {
		return err
	}
	if len(m.Planes) == 0 {
		return m.validateValues()
	}
	if len(m.Values) != 0 {
		return fmt.Errorf("packed: %d bytes of full-precision values beside %d planes; a matrix has one or the other", len(m.Values), len(m.Planes))
	}
	if len(m.Planes) > MaxPlanes {
		return fmt.Errorf("packed: %d planes; a matrix has at most %d", len(m.Planes), MaxPlanes)
	}
	for i, p := range m.Planes {
		if err := p.validate(m.Rows, m.Cols); err != nil {
			return ofPlane(err, i, len(m.Planes))
		}
	}
	return m.validateSums()
}

// ofPlane says which plane an error is of, where there are several.
func ofPlane(err error, plane, planes int) error {
	if planes == 1 {
		return fmt.Errorf("packed: %w", err)
	}
	return fmt.Errorf("packed: plane %d: %w", plane, err)
}

func (m Matrix) validateValues() error {
	if len(m.Values) != m.CodeBytes() {
		return fmt.Errorf("packed: %d bytes of values for a %d×%d matrix of full precision, which has %d", len(m.Values), m.Rows, m.Cols, m.CodeBytes())
	}
	for i := range m.Rows * m.Cols {
		if v := m.Value(i/m.Cols, i%m.Cols); !finite(v) {
			return fmt.Errorf("packed: value at row %d, column %d is %v", i/m.Cols, i%m.Cols, v)
		}
	}
	return nil
}

func (p Plane) validate(rows, cols int) error {
	if err := p.validateNumbers(rows); err != nil {
		return err
	}
	n := p.RowBytes(cols)
	if len(p.Data) != rows*n {
		return fmt.Errorf("%d bytes of data for a %d×%d matrix of %d bits, which has %d", len(p.Data), rows, cols, p.Bits, rows*n)
	}
	for r := range rows {
		row := p.Data[r*n:][:n]
		if len(p.Levels) < 1<<p.Bits {
			for c := range cols {
				if code := get(row, c*p.Bits, p.Bits); int(code) >= len(p.Levels) {
					return fmt.Errorf("code %d at row %d, column %d lies beyond the %d levels", code, r, c, len(p.Levels))
				}
			}
		}
		for bit := cols * p.Bits; bit < 8*len(row); bit++ {
			if row[bit/8]>>(bit%8)&1 != 0 {
				return fmt.Errorf("padding of row %d is not zero", r)
			}
		}
	}
	return nil
}

// validateNumbers looks at everything but the codes.
func (p Plane) validateNumbers(rows int) error {
	if p.Bits < 1 || p.Bits > MaxBits {
		return fmt.Errorf("%d bits a code; a code has 1 to %d bits", p.Bits, MaxBits)
	}
	if len(p.Levels) < 1 || len(p.Levels) > 1<<p.Bits {
		return fmt.Errorf("%d levels for %d-bit codes, which tell 1 to %d apart", len(p.Levels), p.Bits, 1<<p.Bits)
	}
	if len(p.Scales) != 1 && len(p.Scales) != rows {
		return fmt.Errorf("%d scales for %d rows; a plane has one scale, or one a row", len(p.Scales), rows)
	}
	for i, v := range p.Levels {
		if !finite(v) {
			return fmt.Errorf("level %d is %v", i, v)
		}
	}
	for i, v := range p.Scales {
		if !finite(v) {
			return fmt.Errorf("scale %d is %v", i, v)
		}
	}
	return nil
}

// validateSums sees that no weight overflows float32: that the largest of each plane,
// added, does not.
func (m Matrix) validateSums() error {
	largest := func(values []float32) float64 {
		most := 0.0
		for _, v := range values {
			most = max(most, math.Abs(float64(v)))
		}
		return most
	}
	sum := 0.0
	for _, p := range m.Planes {
		sum += largest(p.Scales) * largest(p.Levels)
	}
	if sum > math.MaxFloat32 {
		return fmt.Errorf("packed: scales times levels reach %.3g, which float32 cannot hold", sum)
	}
	return nil
}

func (m Matrix) validateShape() error {
	// 2^31−1 rows and columns keep every size below within an int64.
	if m.Rows < 1 || m.Cols < 1 || m.Rows > math.MaxInt32 || m.Cols > math.MaxInt32 || m.Rows > math.MaxInt/8/m.Cols {
		return fmt.Errorf("packed: %d×%d is no shape of a matrix", m.Rows, m.Cols)
	}
	return nil
}

// layOut writes codes of so many bits one after another, the first into the lowest bits. row is as long
// as [Plane.RowBytes] says.
func layOut(row []byte, codes []uint16, bits int) {
	var word uint64
	filled := 0
	for _, code := range codes {
		word |= uint64(code) << filled
		if filled += bits; filled >= 64 {
			binary.LittleEndian.PutUint64(row, word)
			row = row[8:]
			filled -= 64
			word = uint64(code) >> (bits - filled)
		}
	}
	if filled > 0 {
		binary.LittleEndian.PutUint64(row, word)
	}
}

// read is the inverse of layOut for row r, which has as many columns as codes.
func (p Plane) read(codes []uint16, r int) {
	n := p.RowBytes(len(codes))
	row, mask := p.Data[r*n:][:n], uint64(1)<<p.Bits-1
	var word uint64
	left := 0
	for i := range codes {
		code := word
		word >>= p.Bits
		if left -= p.Bits; left < 0 {
			word = binary.LittleEndian.Uint64(row)
			row = row[8:]
			code |= word << (left + p.Bits)
			word >>= -left
			left += 64
		}
		codes[i] = uint16(code & mask)
	}
}

// get returns the width bits of a row from bit offset on.
func get(row []byte, offset, width int) uint16 {
	at := row[offset/64*8:]
	shift := offset % 64
	code := binary.LittleEndian.Uint64(at) >> shift
	if shift+width > 64 {
		code |= binary.LittleEndian.Uint64(at[8:]) << (64 - shift)
	}
	return uint16(code & (1<<width - 1))
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
