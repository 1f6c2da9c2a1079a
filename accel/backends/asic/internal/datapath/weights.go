package datapath

import (
	"fmt"
	"math"
	"math/bits"

	"bittern/plugins/backend"
	"bittern/plugins/packed"
)

// matrix is a weight matrix as integers: weight = integer · alpha[row] / 2^fraction.
// Some weights are a sum of several matrices.
type matrix struct {
	rows, cols int
	integers   []int16 // row by row
	alpha      []float64
	fraction   int
	width      Width
	// second says that the matrix is multiplied in the same pass as the one before it: the units
	// have two accumulators, one for each of two levels.
	second bool
}

// signs returns a weight as a sum of matrices of −1, 0 and +1, each times its α. The column takes
// a pass for each matrix that is not second. It returns false if the codes have more than passBits
// bits, or if the levels are no sums of signs.
func signs(m packed.Matrix) ([]matrix, bool) {
	var sum []matrix
	if len(m.Planes) == 0 {
		return nil, false
	}
	for i, p := range m.Planes {
		passes, ok := split(p.Levels)
		if !ok {
			return nil, false
		}
		codes := m.Codes(i)
		for _, pass := range passes {
			sum = append(sum, pass.matrices(m, p, codes)...)
		}
	}
	return sum, true
}

// passBits is the widest code that is multiplied bit by bit.
const passBits = 4

// pass is what the column multiplies by in one pass: a symbol for each code of a plane. The symbol
// −1 stands for low, +1 for high, both in units of the plane's scale, and 0 for 0.
type pass struct {
	symbols   []int8 // by code: −1, 0 or +1
	low, high float64
	width     Width
}

// split returns passes that add up to the levels of a plane, or false if there are none.
func split(levels []float32) ([]pass, bool) {
	last := len(levels) - 1
	first := float64(levels[0])
	switch {
	case last == 0:
		return []pass{{[]int8{1}, first, first, Binary}}, true
	case last == 1:
		return []pass{{[]int8{-1, 1}, first, float64(levels[1]), Binary}}, true
	case last == 2 && levels[1] == 0:
		return []pass{{[]int8{-1, 0, 1}, first, float64(levels[2]), Ternary}}, true
	case last >= 1<<passBits:
		return nil, false
	}
	// There is a pass for each bit of the code. If the levels lie around 0, a bit stands for plus
	// or minus half its worth. Else a bit stands for 0 or its worth, and the highest bit adds the
	// lowest level.
	bits := bits.Len(uint(last))
	worth := make([]float64, bits)
	largest, centre := 0.0, first
	for bit := range bits {
		worth[bit] = float64(levels[1<<bit]) - first
		centre += worth[bit] / 2
	}
	for _, level := range levels {
		largest = max(largest, math.Abs(float64(level)))
	}
	tolerance := 4 * 0x1p-24 * largest // levels are rounded to float32
	var passes []pass
	for bit := range bits {
		p := pass{low: 0, high: worth[bit], width: Binary}
		switch {
		case math.Abs(centre) <= tolerance:
			p.low, p.high = -worth[bit]/2, worth[bit]/2
		case bit == bits-1:
			p.low, p.high = first, first+worth[bit]
		}
		for code := range levels {
			p.symbols = append(p.symbols, int8(code>>bit&1*2-1))
		}
		passes = append(passes, p)
	}
	for code, level := range levels {
		sum := first
		for bit := range bits {
			sum += float64(code>>bit&1) * worth[bit]
		}
		if math.Abs(sum-float64(level)) > tolerance {
			return nil, false
		}
	}
	return passes, true
}

// matrices returns what a pass multiplies by for the codes of a plane: one matrix of signs if both
// levels have the same size, else a matrix of bits for each level that is not 0.
func (p pass) matrices(m packed.Matrix, plane packed.Plane, codes []uint16) []matrix {
	sums := func(of func(symbol int8) int16, level float64, second bool) matrix {
		result := matrix{rows: m.Rows, cols: m.Cols, width: p.width, second: second, integers: make([]int16, len(codes))}
		for i, code := range codes {
			result.integers[i] = of(p.symbols[code])
		}
		for r := range m.Rows {
			result.alpha = append(result.alpha, float64(float32(float64(plane.Scale(r))*level)))
		}
		return result
	}
	if p.low == -p.high {
		return []matrix{sums(func(symbol int8) int16 { return int16(symbol) }, p.high, false)}
	}
	var both []matrix
	if p.high != 0 {
		both = append(both, sums(func(symbol int8) int16 { return int16(max(symbol, 0)) }, p.high, false))
	}
	if p.low != 0 {
		both = append(both, sums(func(symbol int8) int16 { return int16(max(-symbol, 0)) }, p.low, len(both) > 0))
	}
	return both
}

// twelveBit rounds a matrix to 12-bit integers, with as many fraction bits as its largest weight
// allows, and says whether that changed any weight.
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

// largestOf returns bounds on the size of a weight and of the sum of a row's sizes.
func largestOf(sum []matrix) (weight, row float64) {
	rows, cols := sum[0].rows, sum[0].cols
	units := make([]float64, len(sum)) // of the integers of a row
	for r := range rows {
		for i, m := range sum {
			units[i] = math.Ldexp(m.alpha[r], -m.fraction)
		}
		total := 0.0
		for c := range cols {
			size := 0.0
			for i, m := range sum {
				size += math.Abs(float64(m.integers[r*cols+c]) * units[i])
			}
			weight, total = max(weight, size), total+size
		}
		row = max(row, total)
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

// recurrentWeights returns all recurrent weights as integers for the narrowest column that can
// multiply all of them, and the substitutions of weights that would fit a narrower one.
func recurrentWeights(names []string, weights map[string]packed.Matrix) (map[string][]matrix, Width, []backend.Substitution) {
	width, widest := Binary, ""
	if len(names) == 0 {
		width = TwelveBit
	}
	result, widths := make(map[string][]matrix, len(names)), make(map[string]Width, len(names))
	for _, name := range names {
		sum, ok := signs(weights[name])
		if !ok {
			return twelveBits(names, weights, name)
		}
		for _, m := range sum {
			widths[name] = max(widths[name], m.width)
		}
		if widths[name] > width {
			width, widest = widths[name], name
		}
		result[name] = sum
	}
	var substitutions []backend.Substitution
	for _, name := range names {
		if widths[name] < width {
			substitutions = append(substitutions, backend.Substitution{
				Weight: name, From: weights[name].Format(), To: width.weights(),
				Reason: fmt.Sprintf("recurrent weights share a column, and %s is %s; no value changes", widest, width),
			})
		}
		for i := range result[name] {
			result[name][i].width = width
		}
	}
	return result, width, substitutions
}

// twelveBits is recurrentWeights if the weight named wide is no sum of signs.
func twelveBits(names []string, weights map[string]packed.Matrix, wide string) (map[string][]matrix, Width, []backend.Substitution) {
	result, substitutions := make(map[string][]matrix, len(names)), []backend.Substitution(nil)
	const only = "the binary and ternary columns take planes of two levels, of three with 0 between, and codes of at most 4 bits that are sums of signs"
	for _, name := range names {
		reason := only
		if _, ok := signs(weights[name]); ok {
			reason = fmt.Sprintf("recurrent weights share a column, and %s is neither planes of signs nor of signs and 0", wide)
		}
		m, rounded := twelveBit(weights[name])
		result[name] = []matrix{m}
		substitutions = append(substitutions, inTwelveBits(name, weights[name], rounded, reason))
	}
	return result, TwelveBit, substitutions
}

// inTwelveBits returns the substitution of a weight by 12-bit fixed point.
func inTwelveBits(name string, weight packed.Matrix, rounded bool, reason string) backend.Substitution {
	if rounded {
		reason += "; values are rounded"
	} else {
		reason += "; no value changes"
	}
	return backend.Substitution{Weight: name, From: weight.Format(), To: TwelveBit.weights(), Reason: reason}
}
