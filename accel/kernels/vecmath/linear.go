package vecmath

// Add sets dst[i] += x[i].
func Add(dst, x []float32) {
	sameLength("Add", len(dst), len(x))
	active().add(dst, x)
}

// Mul sets dst[i] *= x[i].
func Mul(dst, x []float32) {
	sameLength("Mul", len(dst), len(x))
	active().mul(dst, x)
}

// Axpy sets dst[i] += a·x[i]; with a = −rate and x the gradient it is the
// update of stochastic gradient descent.
func Axpy(dst []float32, a float32, x []float32) {
	sameLength("Axpy", len(dst), len(x))
	active().axpy(dst, a, x)
}

// Scale sets dst[i] *= a.
func Scale(dst []float32, a float32) { active().scale(dst, a) }

// ScaleShift sets dst[i] = scale[i]·x[i] + shift[i].
func ScaleShift(dst, scale, x, shift []float32) {
	sameLength("ScaleShift", len(dst), len(x))
	sameLength("ScaleShift", len(scale), len(x))
	sameLength("ScaleShift", len(shift), len(x))
	active().scaleShift(dst, scale, x, shift)
}

// ReciprocalDeviation sets dst[i] = 1/√(variance[i] + epsilon). It computes in float64, with the same bits
// at every level.
func ReciprocalDeviation(dst, variance []float32, epsilon float64) {
	sameLength("ReciprocalDeviation", len(dst), len(variance))
	active().reciprocalDeviation(dst, variance, epsilon)
}

// Dot returns Σ x[i]·y[i], multiplied and summed in float64.
func Dot(x, y []float32) float64 {
	sameLength("Dot", len(x), len(y))
	return active().dot(x, y)
}

// SumSquares returns Σ x[i]², squared and summed in float64.
func SumSquares(x []float32) float64 { return active().dot(x, x) }
