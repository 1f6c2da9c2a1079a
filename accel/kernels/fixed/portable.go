package fixed

import "math"

var portable = kernels{
	lanes: 1,
	scaleSums: func(y []int32, x, factor []float64, offset []int32, limits [2]float64, c [6]int32) {
		for i := range y {
			y[i] = of(c, scaled(x[i], factor[i], offset[i], limits))
		}
	},
	scaleIntegers: func(y, x []int32, factor []float64, offset []int32, limits [2]float64, c [6]int32) {
		for i := range y {
			y[i] = of(c, scaled(float64(x[i]), factor[i], offset[i], limits))
		}
	},
	add: func(z, x, y []int32, left [2]int32, c [6]int32) {
		for i := range z {
			z[i] = of(c, x[i]<<left[0]+y[i]<<left[1])
		}
	},
	multiply: func(z, x, y []int32, c [6]int32) {
		for i := range z {
			z[i] = of(c, x[i]*y[i])
		}
	},
	convert: func(y, x []int32, c [6]int32) {
		for i := range y {
			y[i] = of(c, x[i])
		}
	},
	widen: func(sum []float64, x []int32) {
		for i := range sum {
			sum[i] = float64(x[i])
		}
	},
	accumulate: func(sum []float64, x []int32) {
		for i := range sum {
			sum[i] += float64(x[i])
		}
	},
	narrow: func(y []int16, x []int32) {
		for i := range y {
			y[i] = int16(x[i])
		}
	},
}

// scaled returns x·factor + offset, saturated at an accumulator's limits.
func scaled(x, factor float64, offset int32, limits [2]float64) int32 {
	low, high := limits[0], limits[1]
	product := int32(math.RoundToEven(min(high, max(low, x*factor))))
	return min(int32(high), max(int32(low), product+offset))
}

// of converts x by the fields of a Conversion.
func of(c [6]int32, x int32) int32 {
	left, right, bias, odd, low, high := c[0], c[1], c[2], c[3], c[4], c[5]
	x <<= left
	return min(high, max(low, (x+bias+x>>right&odd)>>right))
}
