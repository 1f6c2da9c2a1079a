package datapath

import (
	"fmt"
	"math"

	"bittern/plugins/backend"
	"bittern/plugins/packed"
)

// matrix is a weight matrix as integers: weight = integer · alpha[row] / 2^fraction.
type matrix struct {
	rows, cols int
	integers   []int16 // row by row
	alpha      []float64
	fraction   int
	width      Width
}

// signs returns a matrix of −α, +α and perhaps 0 as integers −1, 1 and 0; false
// where m is no such matrix.
func signs(m packed.Matrix) (matrix, bool) {
	result := matrix{rows: m.Rows, cols: m.Cols, width: Binary}
	if len(m.Planes) != 1 {
		return matrix{}, false
	}
	levels := m.Planes[0].Levels
	last := len(levels) - 1
	ternary := last == 2 && levels[1] == 0
	if !ternary && last != 1 || levels[0] != -levels[last] || levels[last] < 0 {
		return matrix{}, false
	}
	if ternary {
		result.width = Ternary
	}
	for r := range m.Rows {
		scale := m.Planes[0].Scale(r)
		if scale < 0 {
			return matrix{}, false
		}
		result.alpha = append(result.alpha, float64(scale*levels[last]))
	}
	symbols := []int16{-1, 1}
	if result.width == Ternary {
		symbols = []int16{-1, 0, 1}
	}
	for _, code := range m.Codes(0) {
		result.integers = append(result.integers, symbols[code])
	}
	return result, true
}

// twelveBit rounds a matrix to 12-bit integers over the power of two that its
// largest weight allows, and says whether that changed any weight.
func twelveBit(m packed.Matrix) (result matrix, rounded bool) {
	values := m.Decode()
	var largest float64
	for _, v := range values {
		largest = max(largest, math.Abs(float64(v)))
	}
	_, exponent := math.Frexp(largest)
	f := format{int(TwelveBit), int(TwelveBit) - 1 - exponent}
	result = matrix{
		rows: m.Rows, cols: m.Cols, integers: make([]int16, len(values)),
		alpha: make([]float64, m.Rows), fraction: f.fraction, width: TwelveBit,
	}
	for r := range result.alpha {
		result.alpha[r] = 1
	}
	for i, v := range values {
		integer := f.encode(float64(v))
		result.integers[i] = int16(integer)
		rounded = rounded || f.decode(integer) != v
	}
	return result, rounded
}

// largest returns bounds on the size of a weight and of the sum of a row's sizes.
func (m matrix) largest() (weight, row float64) {
	for r := range m.rows {
		unit, sum := math.Ldexp(m.alpha[r], -m.fraction), 0.0
		for _, integer := range m.integers[r*m.cols : (r+1)*m.cols] {
			size := math.Abs(float64(integer)) * unit
			weight, sum = max(weight, size), sum+size
		}
		row = max(row, sum)
	}
	return weight, row
}

// columns returns the matrix column after column, for look-ups.
func (m matrix) columns() []int16 {
	across := make([]int16, len(m.integers))
	for r := range m.rows {
		for c := range m.cols {
			across[c*m.rows+r] = m.integers[r*m.cols+c]
		}
	}
	return across
}

// recurrentWeights turns all recurrent matrices into integers of one width, the
// narrowest column that has them all, and lists those that are made for another.
func recurrentWeights(names []string, weights map[string]packed.Matrix) (map[string]matrix, Width, []backend.Substitution) {
	width, widest := Binary, ""
	if len(names) == 0 {
		width = TwelveBit
	}
	result := make(map[string]matrix, len(names))
	for _, name := range names {
		m, ok := signs(weights[name])
		if !ok {
			return twelveBits(names, weights, name)
		}
		if m.width > width {
			width, widest = m.width, name
		}
		result[name] = m
	}
	var substitutions []backend.Substitution
	for _, name := range names {
		m := result[name]
		if m.width < width {
			substitutions = append(substitutions, backend.Substitution{
				Weight: name, From: weights[name].Format(), To: width.weights(),
				Reason: fmt.Sprintf("recurrent weights share a column, and %s is %s; no value changes", widest, width),
			})
		}
		m.width = width
		result[name] = m
	}
	return result, width, substitutions
}

// twelveBits is recurrentWeights where the weight named wide is neither binary
// nor ternary.
func twelveBits(names []string, weights map[string]packed.Matrix, wide string) (map[string]matrix, Width, []backend.Substitution) {
	result, substitutions := make(map[string]matrix, len(names)), []backend.Substitution(nil)
	for _, name := range names {
		reason := "no column is made for weights other than ±α, or ±α and 0"
		if _, ok := signs(weights[name]); ok {
			reason = fmt.Sprintf("recurrent weights share a column, and %s is not ±α, or ±α and 0", wide)
		}
		m, rounded := twelveBit(weights[name])
		result[name] = m
		substitutions = append(substitutions, inTwelveBits(name, weights[name], rounded, reason))
	}
	return result, TwelveBit, substitutions
}

// inTwelveBits is the substitution of a weight by 12-bit fixed point.
func inTwelveBits(name string, weight packed.Matrix, rounded bool, reason string) backend.Substitution {
	if rounded {
		reason += "; values are rounded"
	} else {
		reason += "; no value changes"
	}
	return backend.Substitution{Weight: name, From: weight.Format(), To: TwelveBit.weights(), Reason: reason}
}
