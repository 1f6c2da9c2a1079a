package vecmath

// kernels are the functions of one instruction-set level. They trust their
// arguments: lengths are checked by the public functions.
type kernels struct {
	exp, sigmoid, tanh, add, mul func(dst, x []float32)

	axpy       func(dst []float32, a float32, x []float32)
	scale      func(dst []float32, a float32)
	scaleShift func(dst, scale, x, shift []float32)
	dot        func(x, y []float32) float64

	// max is the largest element, −Inf of none.
	max func(x []float32) float32
	// expSum sets dst[i] = exp(x[i]−shift) and returns the sum of dst.
	expSum func(dst, x []float32, shift float32) float64
	// sumExp returns what expSum does and stores nothing.
	sumExp func(x []float32, shift float32) float64

	adam func(value, grad, m, v []float32, c *adamCoefficients)
	// dropout draws from a SplitMix64 generator in state state, one word for
	// two elements.
	dropout   func(dst, x []float32, threshold uint32, scale float32, state uint64)
	transpose func(dst []float32, ldd int, src []float32, lds, rows, cols int)
}

var active = &portable
