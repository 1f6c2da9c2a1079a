// Package packed is the bit layout of deployed weights: what is stored, what
// crosses to a backend, and what the memory columns count.
//
// # Layout
//
// A weight matrix is stored as codes of 1 to 16 bits and a codebook that turns
// a code into its value. Codes lie row by row, column after column, the least
// significant bit first; a code may straddle two bytes. Each row is padded with
// zero bits to a whole number of 8-byte words, so row r starts at byte
// r·8·⌈Cols·Bits/64⌉. Padding to a word lets a reader take a row in 64-bit loads
// without ever touching the next row and costs at most 63 bits a row: under 2 %
// from 4,000 bits on.
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
// # Codebooks
//
// Levels hold the value of code 0, then of code 1, and so on: one codebook for
// the matrix, or one for every row, row after row. A codebook may be shorter
// than 1<<Bits (ternary has 3 levels of 2 bits); no code may lie beyond it. Every
// quantizer keeps this order:
//
//	binary   1 bit    0 = −α   1 = +α
//	ternary  2 bits   0 = −α   1 = 0   2 = +α
//	k bits            levels in rising order
//
// Full precision is stored as little-endian float32 values row by row, without
// padding or codebook: 32 bits.
package packed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// MaxBits is the widest code; FullPrecision is the width that means float32
// values in place of codes.
const (
	MaxBits       = 16
	FullPrecision = 32
)

// Matrix is a weight matrix as deployed: Rows outputs by Cols inputs.
//
// A Bits of 32 means full precision: Data then holds little-endian float32
// values row by row and there are no Levels.
type Matrix struct {
	Rows, Cols int
	Bits       int
	// Levels is the codebook in ascending code order: one for the matrix, or
	// Rows of them one after another where PerRow is set.
	Levels []float32
	PerRow bool
	Data   []byte
}

// Equal says whether two matrices decode from the same bits.
func Equal(a, b Matrix) bool {
	return a.Rows == b.Rows && a.Cols == b.Cols && a.Bits == b.Bits && a.PerRow == b.PerRow &&
		slices.Equal(a.Levels, b.Levels) && bytes.Equal(a.Data, b.Data)
}

// Pack lays out rows×cols codes of the given width, row by row, under the given
// codebook. It keeps levels.
func Pack(codes []uint16, rows, cols, bits int, levels []float32, perRow bool) (Matrix, error) {
	m := Matrix{Rows: rows, Cols: cols, Bits: bits, Levels: levels, PerRow: perRow}
	if bits == FullPrecision {
		return Matrix{}, fmt.Errorf("packed: codes are at most %d bits wide; pack full precision with FromValues", MaxBits)
	}
	if err := m.validateShape(); err != nil {
		return Matrix{}, err
	}
	if len(codes) != rows*cols {
		return Matrix{}, fmt.Errorf("packed: %d codes for a %d×%d matrix, which has %d", len(codes), rows, cols, rows*cols)
	}
	if err := m.validateLevels(); err != nil {
		return Matrix{}, err
	}
	count := m.levelCount()
	m.Data = make([]byte, rows*m.RowBytes())
	for r := range rows {
		row := m.row(r)
		for c, code := range codes[r*cols : (r+1)*cols] {
			if int(code) >= count {
				return Matrix{}, fmt.Errorf("packed: code %d at row %d, column %d lies beyond the codebook of %d levels", code, r, c, count)
			}
			put(row, c*bits, bits, code)
		}
	}
	return m, nil
}

// FromValues lays out rows×cols values in full precision.
func FromValues(values []float32, rows, cols int) (Matrix, error) {
	m := Matrix{Rows: rows, Cols: cols, Bits: FullPrecision}
	if err := m.validateShape(); err != nil {
		return Matrix{}, err
	}
	if len(values) != rows*cols {
		return Matrix{}, fmt.Errorf("packed: %d values for a %d×%d matrix, which has %d", len(values), rows, cols, rows*cols)
	}
	m.Data = make([]byte, 4*len(values))
	for i, v := range values {
		if !finite(v) {
			return Matrix{}, fmt.Errorf("packed: value at row %d, column %d is %v", i/cols, i%cols, v)
		}
		binary.LittleEndian.PutUint32(m.Data[4*i:], math.Float32bits(v))
	}
	return m, nil
}

// Unpack returns the Rows·Cols codes row by row. m must be valid and not of
// full precision.
func (m Matrix) Unpack() []uint16 {
	codes := make([]uint16, 0, m.Rows*m.Cols)
	for r := range m.Rows {
		row := m.row(r)
		for c := range m.Cols {
			codes = append(codes, get(row, c*m.Bits, m.Bits))
		}
	}
	return codes
}

// Code returns the code at row r, column c. m must be valid and not of full
// precision.
func (m Matrix) Code(r, c int) uint16 { return get(m.row(r), c*m.Bits, m.Bits) }

// Value returns the weight at row r, column c. m must be valid.
func (m Matrix) Value(r, c int) float32 {
	if m.Bits == FullPrecision {
		return math.Float32frombits(binary.LittleEndian.Uint32(m.Data[4*(r*m.Cols+c):]))
	}
	return m.RowLevels(r)[m.Code(r, c)]
}

// Decode returns the Rows·Cols weights row by row: the reference decoder, which
// every kernel is held against. m must be valid.
func (m Matrix) Decode() []float32 {
	values := make([]float32, 0, m.Rows*m.Cols)
	for r := range m.Rows {
		for c := range m.Cols {
			values = append(values, m.Value(r, c))
		}
	}
	return values
}

// RowLevels returns the codebook of row r.
func (m Matrix) RowLevels(r int) []float32 {
	if !m.PerRow {
		return m.Levels
	}
	count := m.levelCount()
	return m.Levels[r*count : (r+1)*count]
}

// RowBytes is the storage of one row, padding included.
func (m Matrix) RowBytes() int {
	if m.Bits == FullPrecision {
		return 4 * m.Cols
	}
	return (m.Cols*m.Bits + 63) / 64 * 8
}

// CodeBytes is the storage of the codes (or full-precision values), padding
// included. The paper's accounting, Rows·Cols·Bits/8, has no padding.
func (m Matrix) CodeBytes() int { return m.Rows * m.RowBytes() }

// LevelBytes is the storage of the codebooks.
func (m Matrix) LevelBytes() int { return 4 * len(m.Levels) }

// Format names the format in words: "float32", or the levels of one codebook and
// the width of a code, as in "3 levels a row, 2 bits".
func (m Matrix) Format() string {
	if m.Bits == FullPrecision {
		return "float32"
	}
	levels, width := fmt.Sprintf("%d levels", len(m.Levels)), fmt.Sprintf("%d bits", m.Bits)
	if m.PerRow {
		levels = fmt.Sprintf("%d levels a row", len(m.Levels)/m.Rows)
	}
	if m.Bits == 1 {
		width = "1 bit"
	}
	return levels + ", " + width
}

// Validate returns an error that names what is wrong with the matrix: its
// shape, its codebook, the length of its data, a code beyond the codebook, a
// value that is no number, or padding that is not zero.
func (m Matrix) Validate() error {
	if err := m.validateShape(); err != nil {
		return err
	}
	if err := m.validateLevels(); err != nil {
		return err
	}
	if len(m.Data) != m.CodeBytes() {
		return fmt.Errorf("packed: %d bytes of data for a %d×%d matrix of %d bits, which has %d", len(m.Data), m.Rows, m.Cols, m.Bits, m.CodeBytes())
	}
	if m.Bits == FullPrecision {
		for i := range m.Rows * m.Cols {
			if v := m.Value(i/m.Cols, i%m.Cols); !finite(v) {
				return fmt.Errorf("packed: value at row %d, column %d is %v", i/m.Cols, i%m.Cols, v)
			}
		}
		return nil
	}
	count := m.levelCount()
	for r := range m.Rows {
		row := m.row(r)
		if count < 1<<m.Bits {
			for c := range m.Cols {
				if code := get(row, c*m.Bits, m.Bits); int(code) >= count {
					return fmt.Errorf("packed: code %d at row %d, column %d lies beyond the codebook of %d levels", code, r, c, count)
				}
			}
		}
		for bit := m.Cols * m.Bits; bit < 8*len(row); bit++ {
			if row[bit/8]>>(bit%8)&1 != 0 {
				return fmt.Errorf("packed: padding of row %d is not zero", r)
			}
		}
	}
	return nil
}

func (m Matrix) validateShape() error {
	if m.Bits != FullPrecision && (m.Bits < 1 || m.Bits > MaxBits) {
		return fmt.Errorf("packed: %d bits a code; a code has 1 to %d bits, full precision %d", m.Bits, MaxBits, FullPrecision)
	}
	// 2^31−1 rows and columns keep every size below within an int64.
	if m.Rows < 1 || m.Cols < 1 || m.Rows > math.MaxInt32 || m.Cols > math.MaxInt32 || m.Rows > math.MaxInt/8/m.Cols {
		return fmt.Errorf("packed: %d×%d is no shape of a matrix", m.Rows, m.Cols)
	}
	return nil
}

func (m Matrix) validateLevels() error {
	if m.Bits == FullPrecision {
		if len(m.Levels) != 0 || m.PerRow {
			return fmt.Errorf("packed: %d levels for a full-precision matrix, which has none", len(m.Levels))
		}
		return nil
	}
	if m.PerRow && len(m.Levels)%m.Rows != 0 {
		return fmt.Errorf("packed: %d levels do not split evenly over the %d rows of a %d×%d matrix", len(m.Levels), m.Rows, m.Rows, m.Cols)
	}
	if count := m.levelCount(); count < 1 || count > 1<<m.Bits {
		return fmt.Errorf("packed: a codebook of %d levels for %d-bit codes, which tell 1 to %d apart", count, m.Bits, 1<<m.Bits)
	}
	for i, v := range m.Levels {
		if !finite(v) {
			return fmt.Errorf("packed: level %d is %v", i, v)
		}
	}
	return nil
}

// levelCount is the length of one codebook.
func (m Matrix) levelCount() int {
	if m.PerRow {
		return len(m.Levels) / m.Rows
	}
	return len(m.Levels)
}

func (m Matrix) row(r int) []byte {
	n := m.RowBytes()
	return m.Data[r*n : (r+1)*n]
}

// put sets the width bits of a zeroed row from bit offset on.
func put(row []byte, offset, width int, code uint16) {
	at := row[offset/64*8:]
	shift := offset % 64
	binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|uint64(code)<<shift)
	if shift+width > 64 {
		binary.LittleEndian.PutUint64(at[8:], uint64(code)>>(64-shift))
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
