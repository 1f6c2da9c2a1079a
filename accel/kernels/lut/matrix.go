package lut

import (
	"fmt"
	"slices"

	"bittern/plugins/packed"
)

// Matrix is a weight matrix laid out for products with vectors. Products do not change
// it: any number of goroutines may use it, each with Activations of its own.
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

// New lays out a valid matrix for products of a precision. It refuses more than
// [MaxColumns] columns.
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

// decoded says whether a plane must be decoded, as it can be multiplied neither as signs
// nor as codes.
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

// Bytes returns the memory of the weights as laid out, and of the values of their codebook.
func (m *Matrix) Bytes() (codes, levels int) {
	codes, levels = 4*len(m.values), 4*len(m.centre)
	for _, s := range m.sums {
		codes += len(s.codes)
		levels += 4 * (len(s.weights) + len(s.levels))
	}
	return codes, levels
}

// layout returns where sums over the given number of planes find their codes.
func (m *Matrix) layout(planes int) layout {
	switch m.precision {
	case Int14:
		return m.kernels.int14[planes-1].layout
	case Int8:
		return m.kernels.int8[planes-1].layout
	default:
		return exact[planes-1].layout
	}
}
