package vecmath

import (
	"math"

	"bittern/accel/kernels/flush"
)

var portable = kernels{
	sigmoid: func(dst, x []float32) {
		for i, v := range x {
			dst[i] = flush.ToZero(float32(1 / (1 + math.Exp(-float64(v)))))
		}
	},
	tanh: func(dst, x []float32) {
		for i, v := range x {
			dst[i] = float32(math.Tanh(float64(v)))
		}
	},
	add: func(dst, x []float32) {
		for i, v := range x {
			dst[i] += v
		}
	},
	mul: func(dst, x []float32) {
		for i, v := range x {
			dst[i] *= v
		}
	},
	axpy: func(dst []float32, a float32, x []float32) {
		for i, v := range x {
			dst[i] += a * v
		}
	},
	scale: func(dst []float32, a float32) {
		for i := range dst {
			dst[i] *= a
		}
	},
	reciprocalDeviation: func(dst, variance []float32, epsilon float64) {
		for i, v := range variance {
			dst[i] = float32(1 / math.Sqrt(float64(v)+epsilon))
		}
	},
	scaleShift: func(dst, scale, x, shift []float32) {
		for i, v := range x {
			dst[i] = scale[i]*v + shift[i]
		}
	},
	dot: func(x, y []float32) float64 {
		var sum float64
		for i, v := range x {
			sum += float64(v) * float64(y[i])
		}
		return sum
	},
	max: func(x []float32) float32 {
		most := float32(math.Inf(-1))
		for _, v := range x {
			if v > most {
				most = v
			}
		}
		return most
	},
	expSum: func(dst, x []float32, shift float32) float64 {
		var sum float64
		for i, v := range x {
			e := flush.ToZero(float32(math.Exp(float64(v - shift))))
			dst[i] = e
			sum += float64(e)
		}
		return sum
	},
	sumExp: func(x []float32, shift float32) float64 {
		var sum float64
		for _, v := range x {
			sum += float64(flush.ToZero(float32(math.Exp(float64(v - shift)))))
		}
		return sum
	},
	adam: func(value, grad, m, v []float32, common [8]float32) {
		gradScale, epsilon := common[0], common[7]
		beta1, fresh1, beta2, fresh2 := common[1], common[2], common[3], common[4]
		rate, spread := common[5], common[6]
		for i, g := range grad {
			g *= gradScale
			m[i] = flush.ToZero(beta1*m[i] + fresh1*g)
			g = flush.BeforeSquare(g)
			v[i] = flush.ToZero(beta2*v[i] + fresh2*(g*g))
			root := float32(math.Sqrt(float64(v[i])))
			value[i] -= rate * m[i] / (spread*root + epsilon)
		}
	},
	dropout: func(dst, x []float32, threshold uint32, scale float32, state uint64) {
		for i := 0; i < len(x); i += 2 {
			word := splitMix(state)
			state += splitMixIncrement
			dst[i] = keep(x[i], uint32(word), threshold, scale)
			if i+1 < len(x) {
				dst[i+1] = keep(x[i+1], uint32(word>>32), threshold, scale)
			}
		}
	},
	sampleBinary:  sampleBinary,
	sampleTernary: sampleTernary,
	transpose:     transposeBlocked,
}

// transposeBlocked works on squares of 16 × 16, one cache line wide on either
// side, so that every line is used whole while it is near.
func transposeBlocked(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	const side = 16
	for top := 0; top < rows; top += side {
		bottom := min(top+side, rows)
		for left := 0; left < cols; left += side {
			right := min(left+side, cols)
			for i := top; i < bottom; i++ {
				for j, v := range src[i*lds+left : i*lds+right] {
					dst[(left+j)*ldd+i] = v
				}
			}
		}
	}
}
