package lut

import (
	"fmt"
	"slices"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins/packed"
)

// Matrix is a weight matrix laid out for products with one vector. It is not
// changed by them: any number of goroutines may use it, each with Activations
// of its own.
type Matrix struct {
	rows, columns int
	kernels       *kernels
	precision     Precision

	sums   []planeSum
	centre []float32 // nil where zero; one value, or one a row

	values []float32 // for dense, where the weights are neither
}

// planeSum is what is summed at a time: one or two planes of signs of equal weight, or
// the levels of a plane of codes.
type planeSum struct {
	planes  int                 // of signs; 0 for codes
	coded   *summation[float32] // nil for signs
	codes   []byte
	weights []float32 // that the sums are multiplied by: one value, or one a row
	levels  []float32 // of codes, as they are looked up
}

// New lays out a matrix, which must be valid, for products of a precision. More
// than [MaxColumns] columns are refused.
func New(m packed.Matrix, precision Precision) (*Matrix, error) {
	return newMatrix(active, m, precision)
}

func newMatrix(k *kernels, m packed.Matrix, precision Precision) (*Matrix, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Cols > MaxColumns {
		return nil, fmt.Errorf("lut: a %d×%d matrix; at most %d columns are summed", m.Rows, m.Cols, MaxColumns)
	}
	laid := &Matrix{rows: m.Rows, columns: m.Cols, kernels: k, precision: precision}
	if len(m.Planes) == 0 || slices.ContainsFunc(m.Planes, decoded) {
		laid.values = denseBlocks(m, k.lanes)
		return laid, nil
	}
	splits := make([]split, len(m.Planes))
	for i, p := range m.Planes {
		if s, ok := splitLevels(p.Levels); ok {
			splits[i] = s
			laid.sums = append(laid.sums, laid.planeSums(m, i, s)...)
			continue
		}
		laid.sums = append(laid.sums, laid.codedSum(m, i))
	}
	laid.centre = centres(m, splits)
	return laid, nil
}

// decoded says that a plane can be multiplied neither as signs nor as codes.
func decoded(p packed.Plane) bool {
	if _, ok := splitLevels(p.Levels); ok {
		return false
	}
	_, ok := codedWidth(len(p.Levels))
	return !ok
}

// codedSum lays out a plane of m as codes.
func (m *Matrix) codedSum(from packed.Matrix, plane int) planeSum {
	p := from.Planes[plane]
	bits, _ := codedWidth(len(p.Levels))
	s := planeSum{levels: repeated(p.Levels, p.Scales, bits), weights: rowScales(p)}
	if s.weights == nil {
		s.weights = []float32{1}
	}
	codes := make([]uint8, 0, m.rows*m.columns)
	for _, code := range from.Codes(plane) {
		codes = append(codes, uint8(code))
	}
	s.coded = m.kernels.codedSummation(s.levels, bits)
	s.codes = s.coded.arrange(codes, m.rows, m.columns, []int{0, 1, 2, 3}[:bits])
	return s
}

// planeSums lays out the signs of a plane of m, two planes of signs of equal weight
// together.
func (m *Matrix) planeSums(from packed.Matrix, plane int, s split) []planeSum {
	signs := make([]uint8, 0, m.rows*m.columns)
	for _, code := range from.Codes(plane) {
		signs = append(signs, s.signs[code])
	}
	var sums []planeSum
	for p := 0; p < len(s.weights); {
		planes := []int{p}
		if p+1 < len(s.weights) && s.weights[p] == s.weights[p+1] {
			planes = append(planes, p+1)
		}
		sums = append(sums, planeSum{
			planes:  len(planes),
			codes:   m.layout(len(planes)).arrange(signs, m.rows, m.columns, planes),
			weights: times(from.Planes[plane].Scales, s.weights[p]),
		})
		p += len(planes)
	}
	return sums
}

// denseBlocks decodes m into blocks of lanes rows, column after column.
func denseBlocks(m packed.Matrix, lanes int) []float32 {
	blocks := (m.Rows + lanes - 1) / lanes
	values := floats(aligned(4 * blocks * lanes * m.Cols))
	for i, value := range m.Decode() {
		r, c := i/m.Cols, i%m.Cols
		values[(r/lanes*m.Cols+c)*lanes+r%lanes] = value
	}
	return values
}

// Float32 says that the weights are kept as float32 values, not as codes.
func (m *Matrix) Float32() bool { return m.values != nil }

// Bytes is the memory of the weights as laid out, and of the values of their codebook.
func (m *Matrix) Bytes() (codes, levels int) {
	codes, levels = 4*len(m.values), 4*len(m.centre)
	for _, s := range m.sums {
		codes += len(s.codes)
		levels += 4 * (len(s.weights) + len(s.levels))
	}
	return codes, levels
}

// Multiply sets y = W·x, len(y) the matrix's rows.
func (m *Matrix) Multiply(y []float32, a *Activations) {
	if factor, ok := m.single(y, a); ok {
		m.scale(y, factor, m.sums[0])
		return
	}
	m.multiply(y, a)
}

// MultiplyScaleShift sets y = scale∘(W·x) + shift.
func (m *Matrix) MultiplyScaleShift(y []float32, a *Activations, scale, shift []float32) {
	if len(scale) != m.rows || len(shift) != m.rows {
		panic(fmt.Sprintf("lut: %d scales and %d shifts for a %d×%d matrix", len(scale), len(shift), m.rows, m.columns))
	}
	if factor, ok := m.single(y, a); ok && m.whole(m.sums[0]) {
		m.kernels.fromIntegersScaleShift(y, factor, scale, shift)
		return
	} else if ok {
		m.scale(y, factor, m.sums[0])
	} else {
		m.multiply(y, a)
	}
	vecmath.ScaleShift(y, scale, y, shift)
}

// single sums planes into y where one scale for all makes that the product.
func (m *Matrix) single(y []float32, a *Activations) (factor float32, ok bool) {
	m.check(len(y), a)
	if m.values != nil || len(m.sums) != 1 || m.centre != nil || len(m.sums[0].weights) != 1 {
		return 0, false
	}
	return m.sums[0].weights[0] * m.sum(y, a, 0), true
}

// whole says that the sums of s are whole numbers, not float32.
func (m *Matrix) whole(s planeSum) bool { return m.precision != Exact && s.coded == nil }

// scale turns y, which holds the sums of s, into y·factor.
func (m *Matrix) scale(y []float32, factor float32, s planeSum) {
	switch {
	case m.whole(s):
		m.kernels.fromIntegers(y, factor)
	case factor != 1:
		vecmath.Scale(y, factor)
	}
}

// multiply sets y = W·x for any matrix.
func (m *Matrix) multiply(y []float32, a *Activations) {
	if m.values != nil {
		m.kernels.dense(y, m.values, a.x[:m.columns])
		return
	}
	for i, s := range m.sums {
		if i == 0 {
			m.first(y, m.sum(y, a, i), s)
		} else {
			part := a.part[:m.rows]
			m.further(y, part, m.sum(part, a, i), s)
		}
	}
	switch len(m.centre) {
	case 0:
	case 1:
		shift := m.centre[0] * a.total()
		for r := range y {
			y[r] += shift
		}
	default:
		vecmath.Axpy(y, a.total(), m.centre)
	}
}

// first turns y, which holds the sums of s, into what they are worth.
func (m *Matrix) first(y []float32, unit float32, s planeSum) {
	if len(s.weights) == 1 {
		m.scale(y, unit*s.weights[0], s)
		return
	}
	m.scale(y, unit, s)
	vecmath.Mul(y, s.weights)
}

// further adds to y what the sums of s are worth, which part holds and which are lost.
func (m *Matrix) further(y, part []float32, unit float32, s planeSum) {
	switch {
	case len(s.weights) == 1:
		m.scale(part, unit*s.weights[0], s)
		vecmath.Add(y, part)
	case m.whole(s):
		m.kernels.fromIntegersScaleShift(part, unit, s.weights, y)
		copy(y, part)
	default: // float32, of which one is 1
		vecmath.ScaleShift(y, s.weights, part, y)
	}
}

func (m *Matrix) check(rows int, a *Activations) {
	if rows != m.rows || a.n != m.columns {
		panic(fmt.Sprintf("lut: a %d×%d matrix for %d sums of %d activations", m.rows, m.columns, rows, a.n))
	}
	if a.precision != m.precision || a.kernels != m.kernels {
		panic("lut: activations and matrix are made for different precisions")
	}
}

// layout is where sums over so many planes find their codes.
func (m *Matrix) layout(planes int) layout {
	switch m.precision {
	case Int14:
		return m.kernels.int14[planes-1].layout
	case Int8:
		return m.kernels.int8[planes-1].layout
	default:
		return m.kernels.exact[planes-1].layout
	}
}

// sum sets y to the sums of plane sum i, float32 for Exact and otherwise int32 in
// the same place, and returns the activation that a sum of 1 is.
func (m *Matrix) sum(y []float32, a *Activations, i int) (unit float32) {
	s := m.sums[i]
	if s.coded != nil {
		s.coded.run(y, a.last[:], s.codes, bytesOf(a.x), m.columns, a.backward)
		return 1
	}
	t := a.table(s.planes)
	switch m.precision {
	case Int14:
		m.kernels.int14[s.planes-1].run(integers(y), integers(a.last[:]), s.codes, t.bytes, m.columns, a.backward)
	case Int8:
		m.kernels.int8[s.planes-1].run(integers(y), integers(a.last[:]), s.codes, t.bytes, m.columns, a.backward)
	default:
		m.kernels.exact[s.planes-1].run(y, a.last[:], s.codes, t.bytes, m.columns, a.backward)
	}
	return t.unit
}

// stretch is how many bytes of codes are summed in one direction at a time.
const stretch = 128 << 10

// run sums all rows; those of a last block that is not whole pass through last.
//
// Codes that do not fit in the cache are read from first to last and then, for
// the next vector, from last to first: what the cache still holds of one product
// is read first by the next, not pushed out by it.
func (k *summation[Sum]) run(dst, last []Sum, codes, tables []byte, columns int, backward bool) {
	chunks, blockBytes := k.chunks(columns), k.blockBytes(columns)
	blocks := (len(dst) + blockRows - 1) / blockRows
	length := max(1, stretch/blockBytes)
	stretches := (blocks + length - 1) / length
	for i := range stretches {
		if backward {
			i = stretches - 1 - i
		}
		from, to := i*length, min((i+1)*length, blocks)
		rows, part := dst[from*blockRows:min(to*blockRows, len(dst))], codes[from*blockBytes:]
		whole := len(rows) / blockRows * blockRows
		if whole > 0 {
			k.sums(rows[:whole], part, tables, chunks)
		}
		if whole < len(rows) {
			k.sums(last, part[whole/blockRows*blockBytes:], tables, chunks)
			copy(rows[whole:], last)
		}
	}
}
