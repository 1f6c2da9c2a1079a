package lsq

import "math"

const (
	signBit  = 1 << 31
	infinity = 0x7f800000 // the bits of +∞, the least of what is not finite
)

// codes are the integers that weights of two and more bits are rounded to, −Q_N to Q_P
// in the words of the paper.
type codes struct{ low, high float32 }

func newCodes(bits int, symmetric bool) codes {
	half := float32(int(1) << (bits - 1))
	if symmetric {
		return codes{1 - half, half - 1}
	}
	return codes{-half, half - 1}
}

// levels lists the codes.
func (c codes) levels() []float32 {
	var levels []float32
	for code := c.low; code <= c.high; code++ {
		levels = append(levels, code)
	}
	return levels
}

// quantize writes round(clip(w/s, −Q_N, Q_P))·s (equations 1 and 2), halves rounded to
// even. It reports whether every weight was finite.
func (c codes) quantize(dst, latent []float32, step float32) (finite bool) {
	dst = dst[:len(latent)]
	var largest uint32
	for i, w := range latent {
		largest = max(largest, math.Float32bits(w)&^signBit)
		dst[i] = nearest(c.clip(w/step)) * step
	}
	return largest < infinity
}

func (c codes) clip(x float32) float32 { return min(max(x, c.low), c.high) }

// nearest rounds a number of at most 2²² to the nearest integer, halves to even:
// numbers from 2²³ to 2²⁴ are whole.
func nearest(x float32) float32 {
	const whole = 3 << 22
	return x + whole - whole
}

// backward turns the gradient with respect to the quantized weights into the one with
// respect to the latent weights (equation 5: zero at and beyond the ends) and returns its
// sum times ∂ŵ/∂s (equation 3): −w/s + round(w/s) between the ends, −Q_N and Q_P at and
// beyond them.
func (c codes) backward(grad, latent []float32, step float32) (sum float64) {
	grad = grad[:len(latent)]
	for i, w := range latent {
		received, place := grad[i], w/step
		clipped := c.clip(place)
		slope := nearest(clipped)
		if place > c.low && place < c.high {
			slope -= place
		} else {
			grad[i] = 0
		}
		sum += float64(received) * float64(slope)
	}
	return sum
}

// binaryBackward is backward for weights of one bit, ŵ = sign(w)·s: ∂ŵ/∂s is the sign
// of w, that of 0 positive, and the gradient passes where |w| ≤ s.
func binaryBackward(grad, latent []float32, step float32) (sum float64) {
	grad = grad[:len(latent)]
	for i, w := range latent {
		bits := math.Float32bits(w + 0) // −0 + 0 = +0
		sum += float64(math.Float32frombits(math.Float32bits(grad[i]) ^ bits&signBit))
		if math.Float32frombits(bits&^signBit) > step {
			grad[i] = 0
		}
	}
	return sum
}

// gradientScale is g = 1/sqrt(N·Q_P) (section 2.2) for a matrix of N weights.
func gradientScale(weights int, high float32) float64 {
	return 1 / math.Sqrt(float64(weights)*float64(high))
}

// initial is the first step of weights of this mean size: 2·mean|w|/sqrt(Q_P) (section
// 2.1).
func (c codes) initial(meanSize float64) float32 {
	return float32(2 * meanSize / math.Sqrt(float64(c.high)))
}

// least is the smallest step that weights are rounded to; see the package.
const least = 1e-5

// positive returns the step that weights are rounded to.
func positive(step float32) float32 { return max(step, least) }
