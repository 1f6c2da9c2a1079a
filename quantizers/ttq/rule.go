package ttq

import "math"

const signBit = 1 << 31

// ternarize writes the last of three levels where w > threshold, the first where
// w < −threshold and 0 elsewhere (equation 6).
//
// It chooses by sign bits, not by branches: the choices are as good as random, and
// mispredicted branches would cost more than all else.
func ternarize(dst, latent []float32, threshold float32, levels []float32) {
	dst = dst[:len(latent)]
	bySign := [2]uint32{math.Float32bits(levels[2]), math.Float32bits(levels[0])}
	for i, w := range latent {
		bits := math.Float32bits(w)
		dst[i] = math.Float32frombits(bySign[bits>>31] & outside(bits, threshold))
	}
}

// backward turns the gradient with respect to the quantized weights into the one
// with respect to the latent weights (equation 8: times Wp, 1 or Wn) and returns the
// gradients of Wp and Wn (equation 7: its sums over the positive and, with a minus
// sign, over the negative weights).
func backward(grad, latent []float32, threshold, positive, negative float32) (gradPositive, gradNegative float64) {
	grad = grad[:len(latent)]
	factors := [3]float32{1, positive, negative}
	var sums [3]float64
	for i, w := range latent {
		bits := math.Float32bits(w)
		set := (1 + bits>>31) & outside(bits, threshold) // 0 is zero, 1 positive, 2 negative
		sums[set] += float64(grad[i])
		grad[i] *= factors[set]
	}
	return sums[1], -sums[2]
}

// outside is all ones where |w| > threshold, given the bits of w, else 0.
func outside(bits uint32, threshold float32) uint32 {
	below := math.Float32bits(threshold - math.Float32frombits(bits&^signBit))
	return uint32(int32(below) >> 31)
}
