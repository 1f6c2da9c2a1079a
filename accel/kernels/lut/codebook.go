package lut

import (
	"math"
	"math/bits"

	"bittern/plugins/packed"
)

// split is a plane's levels written as sums of signs; see the package documentation. Its
// numbers are multiples of the plane's scales.
type split struct {
	signs   []uint8 // by code: bit p is set where sign plane p is +1
	centre  float64
	weights []float64 // by sign plane
}

// splitLevels writes levels as sums of signs; it returns false if they are none.
func splitLevels(levels []float32) (split, bool) {
	if len(levels) > 256 {
		return split{}, false
	}
	last := len(levels) - 1
	first := float64(levels[0])
	// Half the difference between two codes that differ in the sign of a plane alone.
	half := func(high, low int) float64 { return (float64(levels[high]) - float64(levels[low])) / 2 }
	var s split
	if len(levels) <= 3 { // a plane for each step up
		s.signs = []uint8{0b00, 0b01, 0b11}[:len(levels)]
		for p := range max(1, last) {
			s.weights = append(s.weights, half(min(p+1, last), p))
		}
	} else { // the bits of the code
		for code := range levels {
			s.signs = append(s.signs, uint8(code))
		}
		for p := range bits.Len(uint(last)) {
			s.weights = append(s.weights, half(1<<p, 0))
		}
	}
	s.centre = first
	for _, weight := range s.weights {
		s.centre += weight
	}
	largest := 0.0
	for _, level := range levels {
		largest = max(largest, math.Abs(float64(level)))
	}
	for code, level := range levels {
		sum := s.centre
		for p, weight := range s.weights {
			sum += float64(int(s.signs[code]>>p&1)*2-1) * weight
		}
		// Levels of float32 are rounded sums of their planes.
		if math.Abs(sum-float64(level)) > 4*0x1p-24*largest {
			return split{}, false
		}
	}
	return s, true
}

// times multiplies the scales of a plane, one or one a row, by a weight.
func times(scales []float32, weight float64) []float32 {
	products := make([]float32, len(scales))
	for i, scale := range scales {
		products[i] = float32(float64(scale) * weight)
	}
	return products
}

// centres returns what the splits of all planes add to every weight: one value, one a row,
// or nil if it is 0.
func centres(m packed.Matrix, splits []split) []float32 {
	scales := 1
	for _, p := range m.Planes {
		scales = max(scales, len(p.Scales))
	}
	sums, zero := make([]float32, scales), true
	for r := range sums {
		sum := 0.0
		for i, s := range splits {
			sum += float64(m.Planes[i].Scale(r)) * s.centre
		}
		sums[r] = float32(sum)
		zero = zero && sum == 0
	}
	if zero {
		return nil
	}
	return sums
}
