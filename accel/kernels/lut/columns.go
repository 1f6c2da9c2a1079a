package lut

import (
	"fmt"
	"slices"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins/packed"
)

// Columns is a weight matrix laid out for products with one-hot vectors: the columns
// themselves. Planes of up to three levels are kept as bits, one for each level above
// the lowest; others of up to 16 levels, or of up to 256 that are sums of signs, as
// codes. A matrix that has any other plane is kept as the float32 values it decodes to.
type Columns struct {
	rows, columns int
	kernels       *kernels

	chosen []chosenPlane
	coded  []codedPlane
	order  []bool // by plane: whether it is the next of coded, else of the planes of bits
	room   int    // elements that a sum of planes takes in the workspace; 0 if none is needed

	values []float32 // column after column
}

// chosenPlane is a plane of columns kept as bits, one for each level above the lowest.
type chosenPlane struct {
	bits           []byte // column after column, level after level
	plane          int    // bytes of one level of a column
	count          int    // of levels
	levels         []float32
	distance, step int // see kernels.choose
}

// NewColumns lays out a valid matrix.
func NewColumns(m packed.Matrix) (*Columns, error) { return newColumns(active, m) }

func newColumns(k *kernels, m packed.Matrix) (*Columns, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	laid := &Columns{rows: m.Rows, columns: m.Cols, kernels: k}
	if len(m.Planes) == 0 || slices.ContainsFunc(m.Planes, decoded) {
		laid.values = make([]float32, m.Rows*m.Cols)
		for i, value := range m.Decode() {
			laid.values[i%m.Cols*m.Rows+i/m.Cols] = value
		}
		return laid, nil
	}
	for i, p := range m.Planes {
		if len(p.Levels) <= 3 {
			laid.chosen = append(laid.chosen, newChosenPlane(m, i))
			laid.order = append(laid.order, false)
			continue
		}
		for _, plane := range newCodedPlanes(m, i) {
			laid.coded = append(laid.coded, plane)
			laid.order = append(laid.order, true)
			laid.room = max(laid.room, filledRows(m.Rows, plane.bits))
		}
	}
	if len(laid.order) > 1 {
		laid.room = max(laid.room, m.Rows)
	}
	return laid, nil
}

func newChosenPlane(m packed.Matrix, plane int) chosenPlane {
	p := m.Planes[plane]
	levels := p.Levels
	if len(levels) == 1 { // no level is above it, so add one that no code has
		levels = []float32{levels[0], levels[0]}
	}
	count := len(levels)
	c := chosenPlane{plane: (m.Rows + 63) / 64 * 8, count: count} // whole words: a vector of bits is read at once
	c.bits = make([]byte, m.Cols*(count-1)*c.plane)
	for i, code := range m.Codes(plane) {
		r, col := i/m.Cols, i%m.Cols
		for level := 1; level <= int(code); level++ {
			c.bits[(col*(count-1)+level-1)*c.plane+r/8] |= 1 << (r % 8)
		}
	}
	c.distance = repeats
	if len(p.Scales) > 1 {
		c.distance, c.step = m.Rows, 1
	}
	for _, level := range levels {
		for i := range c.distance {
			c.levels = append(c.levels, level*p.Scale(i))
		}
	}
	return c
}

// Float32 says that the weights are kept as float32 values, not as codes.
func (c *Columns) Float32() bool { return c.values != nil }

// Bytes returns the memory of the weights as laid out, and of their levels and scales.
func (c *Columns) Bytes() (codes, levels int) {
	codes = 4 * len(c.values)
	for _, p := range c.chosen {
		codes += len(p.bits)
		levels += 4 * len(p.levels)
	}
	for _, p := range c.coded {
		codes += len(p.codes)
		levels += 4 * (len(p.levels) + len(p.scales))
	}
	return codes, levels
}

// Workspace returns how many elements of workspace Column and ColumnScaleAdd need, which
// may be 0.
func (c *Columns) Workspace() int {
	if len(c.order) > 1 {
		return 2 * c.room
	}
	return c.room
}

// Column sets y to column number token; y is as long as the matrix has rows. It overwrites
// the first elements of workspace.
func (c *Columns) Column(y []float32, token int, workspace []float32) {
	c.check(y, token, workspace)
	switch {
	case c.values != nil:
		copy(y, c.column(token))
	case c.room == 0:
		c.choose(y, token, c.chosen[0])
	default:
		copy(y, c.sum(token, workspace))
	}
}

// ColumnScaleAdd sets y = scale∘(column number token) + other. y may be other.
func (c *Columns) ColumnScaleAdd(y []float32, token int, scale, other, workspace []float32) {
	c.check(y, token, workspace)
	if len(scale) != c.rows || len(other) != c.rows {
		panic(fmt.Sprintf("lut: %d scales and %d others for a column of a %d×%d matrix", len(scale), len(other), c.rows, c.columns))
	}
	switch {
	case c.values != nil:
		vecmath.ScaleShift(y, scale, c.column(token), other)
	case c.room == 0:
		p := c.chosen[0]
		c.kernels.chooseScaleAdd[p.count-2](y, p.column(token), p.plane, p.levels, p.distance, p.step, scale, other)
	default:
		vecmath.ScaleShift(y, scale, c.sum(token, workspace), other)
	}
}

func (c *Columns) check(y []float32, token int, workspace []float32) {
	if len(y) != c.rows || token < 0 || token >= c.columns {
		panic(fmt.Sprintf("lut: column %d of a %d×%d matrix into %d elements", token, c.rows, c.columns, len(y)))
	}
	if len(workspace) < c.Workspace() {
		panic(fmt.Sprintf("lut: a workspace of %d elements for columns that need %d", len(workspace), c.Workspace()))
	}
}

// column returns a column that is kept as float32.
func (c *Columns) column(token int) []float32 { return c.values[token*c.rows : (token+1)*c.rows] }

// column returns the bits of a column.
func (p chosenPlane) column(token int) []byte {
	n := (p.count - 1) * p.plane
	return p.bits[token*n : (token+1)*n]
}

func (c *Columns) choose(y []float32, token int, p chosenPlane) {
	c.kernels.choose[p.count-2](y, p.column(token), p.plane, p.levels, p.distance, p.step)
}

// sum adds up all planes of a column in the workspace and returns the result there.
func (c *Columns) sum(token int, workspace []float32) []float32 {
	chosen, coded := 0, 0
	for i, isCoded := range c.order {
		part := workspace[:c.room]
		if i > 0 {
			part = workspace[c.room : 2*c.room]
		}
		if isCoded {
			c.decode(part, token, c.coded[coded])
			coded++
		} else {
			c.choose(part[:c.rows], token, c.chosen[chosen])
			chosen++
		}
		if i > 0 {
			vecmath.Add(workspace[:c.rows], part[:c.rows])
		}
	}
	return workspace[:c.rows]
}

// decode sets part to a plane of a column. It fills whole blocks, and so overwrites what
// follows the rows.
func (c *Columns) decode(part []float32, token int, p codedPlane) {
	codes := p.codes[token*p.column : (token+1)*p.column]
	c.kernels.codedColumn(part[:filledRows(c.rows, p.bits)], codes, p.levels, p.bits, perWord(p.bits))
	if p.scales != nil {
		vecmath.Mul(part[:c.rows], p.scales)
	}
}
