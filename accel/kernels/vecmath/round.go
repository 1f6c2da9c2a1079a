package vecmath

import "math"

// Round sets dst[i] to the nearest of 2^bits levels from −1 to 1, n = 2^bits − 1,
//
//	min(1, max(−1, (2·⌊n·src[i]/2⌋ + 1)/n))
//
// in float64 and then rounded: of two as near the upper one, and NaN where src[i] is. It
// is the operation of step graphs by that name, and the same at every level of package isa.
func Round(dst, src []float32, bits int) {
	sameLength("Round", len(dst), len(src))
	n := float64(int(1)<<bits - 1)
	for i, x := range src {
		dst[i] = float32(min(1, max(-1, (2*math.Floor(n/2*float64(x))+1)/n)))
	}
}
