package lut

import (
	"math"

	"bittern/plugins/packed"
)

// split is a codebook written as signs; see the package documentation. Values
// are one for the matrix, or one a row.
type split struct {
	signs   []uint8 // by code: bit p is set where plane p is +1
	centre  []float32
	weights [][]float32 // by plane
}

// splitLevels writes the codebooks of m as signs, or says that they cannot be.
func splitLevels(m packed.Matrix) (split, bool) {
	books := 1
	if m.PerRow {
		books = m.Rows
	}
	count := len(m.Levels) / books
	signs := signPatterns(count)
	if signs == nil {
		return split{}, false
	}
	planes := 1
	for signs[count-1]>>planes != 0 {
		planes++
	}
	s := split{signs: signs, centre: make([]float32, books), weights: make([][]float32, planes)}
	for p := range s.weights {
		s.weights[p] = make([]float32, books)
	}
	for book := range books {
		levels := m.Levels[book*count : (book+1)*count]
		first, last := float64(levels[0]), float64(levels[count-1])
		s.centre[book] = float32((first + last) / 2)
		for p := range planes {
			s.weights[p][book] = float32(planeWeight(levels, signs, p))
		}
		for code, level := range levels {
			sum := float64(s.centre[book])
			for p := range planes {
				sign := float64(int(signs[code]>>p&1)*2 - 1)
				sum += sign * float64(s.weights[p][book])
			}
			// A float32 codebook whose levels are rounded sums of its planes.
			if tolerance := 4 * 0x1p-24 * max(math.Abs(first), math.Abs(last)); math.Abs(sum-float64(level)) > tolerance {
				return split{}, false
			}
		}
	}
	return s, true
}

// signPatterns returns the signs of every code of a codebook of count levels:
// up to three levels one plane for each step up, otherwise the code's own bits.
// It returns nil where there are neither.
func signPatterns(count int) []uint8 {
	switch {
	case count <= 3:
		return []uint8{0b00, 0b01, 0b11}[:count]
	case count > 256 || count&(count-1) != 0:
		return nil
	}
	signs := make([]uint8, count)
	for code := range signs {
		signs[code] = uint8(code)
	}
	return signs
}

// planeWeight is half the difference between the two codes that differ in the
// sign of plane p alone, or 0 where there are none.
func planeWeight(levels []float32, signs []uint8, p int) float64 {
	for high, set := range signs {
		for low, clear := range signs {
			if set == clear|1<<p && set != clear {
				return (float64(levels[high]) - float64(levels[low])) / 2
			}
		}
	}
	return 0
}

// zero says that all values are zero.
func zero(values []float32) bool {
	for _, v := range values {
		if v != 0 {
			return false
		}
	}
	return true
}
