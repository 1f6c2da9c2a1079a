package vecmath

// Exp sets dst[i] = exp(x[i]).
//
// Overflow gives +Inf, underflow a subnormal number or 0, NaN stays NaN.
func Exp(dst, x []float32) {
	sameLength("Exp", len(dst), len(x))
	active.exp(dst, x)
}

// Sigmoid sets dst[i] = 1/(1+exp(-x[i])).
//
// The small values of large negative x are as accurate as the rest; ±Inf give 1 and 0.
func Sigmoid(dst, x []float32) {
	sameLength("Sigmoid", len(dst), len(x))
	active.sigmoid(dst, x)
}

// Tanh sets dst[i] = tanh(x[i]).
//
// The bound is relative near 0 too; ±Inf give ±1 and −0 stays −0.
func Tanh(dst, x []float32) {
	sameLength("Tanh", len(dst), len(x))
	active.tanh(dst, x)
}
