package vecmath

import "math"

// Round sets dst[i] to the nearest of 2^bits levels from −1 to 1, n = 2^bits − 1,
//
//	min(1, max(−1, (2·⌊n·src[i]/2⌋ + 1)/n))
//
// computed in float64 and then rounded to float32. Ties go to the upper level, and NaN stays
// NaN. It is the operation Round of step graphs, and gives the same at every level of
// package isa.
func Round(dst, src []float32, bits int) {
	sameLength("Round", len(dst), len(src))
	n := float64(int(1)<<bits - 1)
	for i, x := range src {
		dst[i] = float32(min(1, max(-1, (2*math.Floor(n/2*float64(x))+1)/n)))
	}
}
