package lut

import "bittern/accel/isa"

//go:generate go -C ../_gen run ./lut -pkg lut -out ../lut/lut_amd64.s -stubs ../lut/stubs_amd64.go

var avx2 = kernels{
	integer: summation[int16, int32]{
		layout: layout{chunk: 8, tableBytes: 64, place: func(row, column int) (int, int) {
			return 32*(row/32) + 2*(row%16) + row%32/16, column
		}},
		tables: integerTablesAVX2,
		sums:   [2]func([]int32, []byte, []byte, int){integerSums1AVX2, integerSums2AVX2},
	},
	exact: summation[float32, float32]{
		layout: wordLayout,
		tables: exactTablesAVX2,
		sums:   [2]func([]float32, []byte, []byte, int){exactSums1AVX2, exactSums2AVX2},
	},
	largest:                largestAVX2,
	quantize:               quantizeAVX2,
	fromIntegers:           fromIntegersAVX2,
	fromIntegersScaleShift: fromIntegersScaleShiftAVX2,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose2AVX2, choose3AVX2},
	dense:                  denseAVX2,
	lanes:                  8,
}

var avx512 = kernels{
	integer: summation[int16, int32]{
		layout: layout{chunk: 16, tableBytes: 128, place: func(row, column int) (int, int) {
			group, bits := column/4, [4]int{0, 1, 4, 5}
			return 64*(row/32) + 4*(row%16) + group, bits[column%4] + row%32/16*2
		}},
		tables: integerTablesAVX512,
		sums:   [2]func([]int32, []byte, []byte, int){integerSums1AVX512, integerSums2AVX512},
	},
	exact: summation[float32, float32]{
		layout: wordLayout,
		tables: exactTablesAVX512,
		sums:   [2]func([]float32, []byte, []byte, int){exactSums1AVX512, exactSums2AVX512},
	},
	largest:                largestAVX512,
	quantize:               quantizeAVX512,
	fromIntegers:           fromIntegersAVX512,
	fromIntegersScaleShift: fromIntegersScaleShiftAVX512,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose2AVX512, choose3AVX512},
	dense:                  denseAVX512,
	lanes:                  16,
}

// wordLayout holds a row of 32 columns in a 32-bit word.
var wordLayout = layout{chunk: 32, tableBytes: 512, place: func(row, column int) (int, int) {
	return 4*row + column/8, column % 8
}}

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
