package vecmath

import "bittern/accel/kernels/isa"

//go:generate go -C ../../_gen run ./vecmath -pkg vecmath -out ../kernels/vecmath/vecmath_amd64.s -stubs ../kernels/vecmath/stubs_amd64.go -arm64 ../kernels/vecmath/vecmath_arm64.s -arm64stubs ../kernels/vecmath/stubs_arm64.go

var avx2 = kernels{
	sigmoid: sigmoidAVX2, tanh: tanhAVX2,
	add: addAVX2, mul: mulAVX2, axpy: axpyAVX2,
	scale: scaleAVX2, scaleShift: scaleShiftAVX2, dot: dotAVX2,
	reciprocalDeviation: reciprocalDeviationAVX2, max: maxAVX2,
	expSum: expSumAVX2, sumExp: sumExpAVX2,
	exponentials: exponentialsAVX2, lanes: 8,
	adam: adamAVX2, dropout: dropoutAVX2, transpose: transposeAVX,
	sampleBinary: sampleBinaryAVX2, sampleTernary: sampleTernaryAVX2,
}

var avx512 = kernels{
	sigmoid: sigmoidAVX512, tanh: tanhAVX512,
	add: addAVX512, mul: mulAVX512, axpy: axpyAVX512,
	scale: scaleAVX512, scaleShift: scaleShiftAVX512, dot: dotAVX512,
	reciprocalDeviation: reciprocalDeviationAVX512, max: maxAVX512,
	expSum: expSumAVX512, sumExp: sumExpAVX512,
	exponentials: exponentialsAVX512, lanes: 16,
	adam: adamAVX512, dropout: dropoutAVX512, transpose: transposeAVX,
	sampleBinary: sampleBinaryAVX512, sampleTernary: sampleTernaryAVX512,
}

// forLevel returns the kernels of a level that this machine has.
func forLevel(level isa.Level) *kernels {
	switch level {
	case isa.AVX512:
		return &avx512
	case isa.AVX2:
		return &avx2
	default:
		return &portable
	}
}

// transposeAVX works on squares of 8 × 8 in registers; what is left at the
// right and the bottom goes the portable way.
func transposeAVX(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	const side = 8
	wholeRows, wholeCols := rows/side*side, cols/side*side
	for i := 0; i < wholeRows; i += side {
		for j := 0; j < wholeCols; j += side {
			transpose8x8(&dst[j*ldd+i], 4*ldd, &src[i*lds+j], 4*lds)
		}
	}
	if wholeCols < cols {
		transposeBlocked(dst[wholeCols*ldd:], ldd, src[wholeCols:], lds, wholeRows, cols-wholeCols)
	}
	if wholeRows < rows {
		transposeBlocked(dst[wholeRows:], ldd, src[wholeRows*lds:], lds, rows-wholeRows, cols)
	}
}
