package lut

import (
	"fmt"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins/packed"
)

// Columns is a weight matrix laid out for products with one-hot vectors: the
// columns themselves. Two or three levels are kept as bits, one plane for each
// level above the lowest; other codebooks as the float32 values they decode to.
type Columns struct {
	rows, columns int
	kernels       *kernels

	bits           []byte // column after column, level after level
	plane          int    // bytes of one level of a column
	levels         []float32
	distance, step int // see kernels.choose

	values []float32 // column after column
}

// NewColumns lays out a matrix, which must be valid.
func NewColumns(m packed.Matrix) (*Columns, error) { return newColumns(active, m) }

func newColumns(k *kernels, m packed.Matrix) (*Columns, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	laid := &Columns{rows: m.Rows, columns: m.Cols, kernels: k}
	if len(m.Planes) != 1 || len(m.Planes[0].Levels) < 2 || len(m.Planes[0].Levels) > 3 {
		laid.values = make([]float32, m.Rows*m.Cols)
		for i, value := range m.Decode() {
			laid.values[i%m.Cols*m.Rows+i/m.Cols] = value
		}
		return laid, nil
	}
	plane := m.Planes[0]
	count := len(plane.Levels)

	laid.plane = (m.Rows + 63) / 64 * 8 // whole words: a vector of bits is read at once
	laid.bits = make([]byte, m.Cols*(count-1)*laid.plane)
	for i, code := range m.Codes(0) {
		r, c := i/m.Cols, i%m.Cols
		for level := 1; level <= int(code); level++ {
			laid.bits[(c*(count-1)+level-1)*laid.plane+r/8] |= 1 << (r % 8)
		}
	}
	laid.distance = repeats
	if len(plane.Scales) > 1 {
		laid.distance, laid.step = m.Rows, 1
	}
	for _, level := range plane.Levels {
		for i := range laid.distance {
			laid.levels = append(laid.levels, level*plane.Scale(i))
		}
	}
	return laid, nil
}

// Float32 says that the weights are kept as float32 values, not as codes.
func (c *Columns) Float32() bool { return c.values != nil }

// Bytes is the memory of the weights as laid out, and of the values of their codebook.
func (c *Columns) Bytes() (codes, levels int) {
	return len(c.bits) + 4*len(c.values), 4 * len(c.levels)
}

// Column sets y to column number token, len(y) the matrix's rows.
func (c *Columns) Column(y []float32, token int) {
	c.check(y, token)
	if c.values != nil {
		copy(y, c.column(token))
		return
	}
	bits, levels := c.codes(token)
	c.kernels.choose[levels-2](y, bits, c.plane, c.levels, c.distance, c.step)
}

// ColumnScaleAdd sets y = scale∘(column number token) + other. y may be other.
func (c *Columns) ColumnScaleAdd(y []float32, token int, scale, other []float32) {
	c.check(y, token)
	if len(scale) != c.rows || len(other) != c.rows {
		panic(fmt.Sprintf("lut: %d scales and %d others for a column of a %d×%d matrix", len(scale), len(other), c.rows, c.columns))
	}
	if c.values != nil {
		vecmath.ScaleShift(y, scale, c.column(token), other)
		return
	}
	bits, levels := c.codes(token)
	c.kernels.chooseScaleAdd[levels-2](y, bits, c.plane, c.levels, c.distance, c.step, scale, other)
}

func (c *Columns) check(y []float32, token int) {
	if len(y) != c.rows || token < 0 || token >= c.columns {
		panic(fmt.Sprintf("lut: column %d of a %d×%d matrix into %d elements", token, c.rows, c.columns, len(y)))
	}
}

// column is a column kept as float32.
func (c *Columns) column(token int) []float32 { return c.values[token*c.rows : (token+1)*c.rows] }

// codes are the bits of a column kept as such, and the number of levels.
func (c *Columns) codes(token int) (bits []byte, levels int) {
	levels = len(c.bits)/c.plane/c.columns + 1
	return c.bits[token*(levels-1)*c.plane : (token+1)*(levels-1)*c.plane], levels
}
