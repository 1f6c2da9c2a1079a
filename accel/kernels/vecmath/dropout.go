package vecmath

import "fmt"

// Dropout sets dst[i] = x[i]/(1−probability) where element first+i is kept
// and 0 where it is dropped, which happens with the given probability.
//
// The mask is a pure function of key and position, so the backward pass calls
// Dropout again with the same arguments on the gradient and no mask is stored.
// Element e takes half of the 64-bit word SplitMix64(key, e/2), the low 32
// bits for even e and the high ones for odd e, and is dropped if that is
// below ⌊probability·2³²⌋. [SplitMix64] is the generator of Steele, Lea and Flood
// (OOPSLA 2014) seeded with key:
//
//	z = key + (n+1)·0x9E3779B97F4A7C15
//	z = (z ⊕ z≫30)·0xBF58476D1CE4E5B9
//	z = (z ⊕ z≫27)·0x94D049BB133111EB
//	z ⊕ z≫31
func Dropout(dst, x []float32, probability float64, key uint64, first int) {
	dropout(active(), dst, x, probability, key, first)
}

func dropout(k *kernels, dst, x []float32, probability float64, key uint64, first int) {
	sameLength("Dropout", len(dst), len(x))
	if !(probability >= 0 && probability < 1) {
		panic(fmt.Sprintf("vecmath: dropout probability %v is not in [0, 1)", probability))
	}
	if first < 0 {
		panic(fmt.Sprintf("vecmath: dropout from element %d", first))
	}
	threshold, scale := uint32(probability*(1<<32)), float32(1/(1-probability))
	if first%2 != 0 && len(x) > 0 {
		// Kernels start at a whole word.
		word := SplitMix64(key, first/2)
		dst[0] = keep(x[0], uint32(word>>32), threshold, scale)
		dst, x, first = dst[1:], x[1:], first+1
	}
	k.dropout(dst, x, threshold, scale, key+uint64(first/2)*splitMixIncrement)
}

// SplitMix64 is output n, from 0 on, of the generator with the given key; see [Dropout].
func SplitMix64(key uint64, n int) uint64 { return splitMix(key + uint64(n)*splitMixIncrement) }

// splitMixIncrement is 2⁶⁴ divided by the golden ratio, made odd.
const splitMixIncrement = 0x9E3779B97F4A7C15

// splitMix returns the first output of a SplitMix64 generator in state state.
func splitMix(state uint64) uint64 {
	z := state + splitMixIncrement
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func keep(x float32, draw, threshold uint32, scale float32) float32 {
	if draw < threshold {
		return 0
	}
	return x * scale
}
