package lsq

import "math"

const (
	signBit  = 1 << 31
	infinity = 0x7f800000 // the bits of +∞, the least of what is not finite
)

// codes are the integers that weights are rounded to, −Q_N to Q_P in the words of
// the paper. The codes of one bit are −1 and 1, without 0.
type codes struct {
	low, high float32
	binary    bool
}

// newCodes returns the codes of so many bits.
func newCodes(bits int, symmetric bool) codes {
	if bits == 1 {
		return codes{-1, 1, true}
	}
	half := float32(int(1) << (bits - 1))
	if symmetric {
		return codes{1 - half, half - 1, false}
	}
	return codes{-half, half - 1, false}
}

// quantize writes round(clip(w/s, −Q_N, Q_P))·s (equations 1 and 2), halves
// rounded to even; with one bit s where w ≥ 0, else −s. It reports whether every
// weight was finite.
func (c codes) quantize(dst, latent []float32, step float32) (finite bool) {
	dst = dst[:len(latent)]
	var largest uint32
	for i, w := range latent {
		largest = max(largest, math.Float32bits(w)&^signBit)
		dst[i] = c.round(w, step) * step
	}
	return largest < infinity
}

func (c codes) round(w, step float32) float32 {
	if c.binary {
		return math.Float32frombits(math.Float32bits(1) | math.Float32bits(w+0)&signBit) // −0 + 0 = +0
	}
	return nearest(c.clip(w / step))
}

func (c codes) clip(x float32) float32 { return min(max(x, c.low), c.high) }

// nearest rounds a number of at most 2²² to the nearest integer, halves to even:
// numbers from 2²³ to 2²⁴ are whole.
func nearest(x float32) float32 {
	const whole = 3 << 22
	return x + whole - whole
}

// backward turns the gradient with respect to the quantized weights into the one
// with respect to the latent weights (equation 5: zero at and beyond the ends) and
// returns its sum times ∂ŵ/∂s (equation 3): −w/s + round(w/s) between the ends, −Q_N
// and Q_P at and beyond them. With one bit ∂ŵ/∂s is the sign of w, and the gradient of
// w is zero where |w| > s.
func (c codes) backward(grad, latent []float32, step float32) (sum float64) {
	grad = grad[:len(latent)]
	for i, w := range latent {
		received, place, slope := grad[i], w/step, c.round(w, step)
		switch {
		case c.binary:
			if place < c.low || place > c.high {
				grad[i] = 0
			}
		case place > c.low && place < c.high:
			slope -= place
		default:
			grad[i] = 0
		}
		sum += float64(received) * float64(slope)
	}
	return sum
}

// gradientScale is g = 1/sqrt(N·Q_P) (section 2.2) for a matrix of N weights.
func (c codes) gradientScale(weights int) float64 {
	return 1 / math.Sqrt(float64(weights)*float64(c.high))
}

// initial is the first step of weights of this mean absolute value:
// 2·mean|w|/sqrt(Q_P) (section 2.1), and mean|w| with one bit.
func (c codes) initial(meanAbsolute float64) float32 {
	if c.binary {
		return float32(meanAbsolute)
	}
	return float32(2 * meanAbsolute / math.Sqrt(float64(c.high)))
}

// least is the smallest step that weights are rounded to; see the package.
const least = 1e-5

// positive returns the step that weights are rounded to.
func positive(step float32) float32 { return max(step, least) }
