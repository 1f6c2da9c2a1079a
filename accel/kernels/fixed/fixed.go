package fixed

// ScaleSums sets, for each element of y and with whole sums x,
//
//	y = c(x·factor + offset)
//
// where the product, exact in float64, is rounded to an accumulator before the offset is
// added to it, and the sum is kept in one too. No offset may be larger than it holds.
func ScaleSums(y []int32, x, factor []float64, offset []int32, a Accumulator, c Conversion) {
	active().ScaleSums(y, x, factor, offset, a, c)
}

// ScaleIntegers is ScaleSums of other numbers.
func ScaleIntegers(y, x []int32, factor []float64, offset []int32, a Accumulator, c Conversion) {
	active().ScaleIntegers(y, x, factor, offset, a, c)
}

// Add sets z = c(x·2^left[0] + y·2^left[1]), both of which must fit in 31 bits.
func Add(z, x, y []int32, left [2]int32, c Conversion) { active().Add(z, x, y, left, c) }

// Multiply sets z = c(x·y), where the product must fit in 31 bits.
func Multiply(z, x, y []int32, c Conversion) { active().Multiply(z, x, y, c) }

// Convert sets y = c(x).
func Convert(y, x []int32, c Conversion) { active().Convert(y, x, c) }

// Widen sets sum = unit·x, which must be exact.
func Widen(sum []float64, x []float32, unit float64) { active().Widen(sum, x, unit) }

// Accumulate adds unit·x to sum, both of which must be exact.
func Accumulate(sum []float64, x []float32, unit float64) { active().Accumulate(sum, x, unit) }

// Floats sets y = x, which must have at most 24 bits.
func Floats(y []float32, x []int32) { active().Floats(y, x) }
