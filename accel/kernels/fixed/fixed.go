package fixed

// ScaleSums sets, for each element, where x holds whole numbers,
//
//	y = c(x·factor + offset)
//
// The product is exact in float64 and rounded to an accumulator; then the offset is added, and
// the sum saturates at the accumulator's limits. Every offset must lie within these limits.
func ScaleSums(y []int32, x, factor []float64, offset []int32, a Accumulator, c Conversion) {
	active().ScaleSums(y, x, factor, offset, a, c)
}

// ScaleIntegers is ScaleSums for int32 inputs.
func ScaleIntegers(y, x []int32, factor []float64, offset []int32, a Accumulator, c Conversion) {
	active().ScaleIntegers(y, x, factor, offset, a, c)
}

// Add sets z = c(x·2^left[0] + y·2^left[1]). Both terms must fit in 31 bits.
func Add(z, x, y []int32, left [2]int32, c Conversion) { active().Add(z, x, y, left, c) }

// Multiply sets z = c(x·y). The product must fit in 31 bits.
func Multiply(z, x, y []int32, c Conversion) { active().Multiply(z, x, y, c) }

// Convert sets y = c(x).
func Convert(y, x []int32, c Conversion) { active().Convert(y, x, c) }

// Widen sets sum = x.
func Widen(sum []float64, x []int32) { active().Widen(sum, x) }

// Accumulate adds x to sum, which must stay exact in float64.
func Accumulate(sum []float64, x []int32) { active().Accumulate(sum, x) }

// Narrow converts x to numbers of 16 bits, which must hold them.
func Narrow(y []int16, x []int32) { active().Narrow(y, x) }
