package lut

import "bittern/accel/kernels/isa"

//go:generate go -C ../../_gen run ./lut -pkg lut -out ../kernels/lut/lut_amd64.s -stubs ../kernels/lut/stubs_amd64.go -arm64 ../kernels/lut/lut_arm64.s -arm64stubs ../kernels/lut/stubs_arm64.go

var avx2 = kernels{
	int14: [2]summation[int32]{
		{nibblesAVX2(1, 64), int14Sums1AVX2, nil},
		{nibblesAVX2(2, 64), int14Sums2AVX2, nil},
	},
	int8: [2]summation[int32]{
		{nibblesAVX2(1, 32), int8Sums1AVX2, nil},
		{nibblesAVX2(2, 32), int8Sums2AVX2, nil},
	},
	int14Tables:            int14TablesAVX2,
	int8Tables:             [2]func([]byte, []int16, int16){int8TablesAVX2, int8TablesAVX2},
	int8Largest:            [2]func([]int16) int32{int8LargestAVX2, int8LargestAVX2},
	largest:                largestAVX2,
	quantize:               quantizeAVX2,
	fromIntegers:           fromIntegersAVX2,
	fromIntegersScaleShift: fromIntegersScaleShiftAVX2,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose2AVX2, choose3AVX2},
	chooseScaleAdd:         [2]func([]float32, []byte, int, []float32, int, int, []float32, []float32){chooseScaleAdd2AVX2, chooseScaleAdd3AVX2},
	codedSums:              codedSumsAVX2,
	codedColumn:            codedColumnAVX2,
	dense:                  denseAVX2,
	lanes:                  8,
	together:               []denseTogether{{4, denseTogether4AVX2}, {2, denseTogether2AVX2}},
}

var avx512 = kernels{
	int14: [2]summation[int32]{
		{nibblesAVX512(1), int14Sums1AVX512, int14Together1AVX512},
		{nibblesAVX512(2), int14Sums2AVX512, int14Together2AVX512},
	},
	int8: [2]summation[int32]{
		{fives(1, 5), int8SumsAVX512, nil},
		{fives(2, 3), int8SumsAVX512, nil},
	},
	int14Tables:            int14TablesAVX512,
	int8Tables:             [2]func([]byte, []int16, int16){int8Tables1AVX512, int8Tables2AVX512},
	int8Largest:            [2]func([]int16) int32{int8Largest1AVX512, int8Largest2AVX512},
	largest:                largestAVX512,
	quantize:               quantizeAVX512,
	fromIntegers:           fromIntegersAVX512,
	fromIntegersScaleShift: fromIntegersScaleShiftAVX512,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose2AVX512, choose3AVX512},
	chooseScaleAdd:         [2]func([]float32, []byte, int, []float32, int, int, []float32, []float32){chooseScaleAdd2AVX512, chooseScaleAdd3AVX512},
	codedSums:              codedSumsAVX512,
	codedColumn:            codedColumnAVX512,
	dense:                  denseAVX512,
	lanes:                  16,
	together:               []denseTogether{{8, denseTogether8AVX512}, {4, denseTogether4AVX512}, {2, denseTogether2AVX512}},
}

// avx512Intel has kernels that Intel's processors are faster with.
var avx512Intel = func() kernels {
	k := avx512
	for i := range k.int8 {
		k.int8[i].sums = int8SumsTwoPermutesAVX512
	}
	return k
}()

// The layouts are the drawings of the package documentation.

func nibblesAVX2(planes, tableBytes int) layout {
	return layout{
		chunk: 8, codeBytes: planes * 64, tableBytes: tableBytes,
		group: 4, bits: planes * 4,
		place: func(row, group, bit int) (at, shift int) {
			return bit/4*64 + 32*(row/32) + 2*(row%16) + row%32/16, 4*group + bit%4
		},
	}
}

func nibblesAVX512(planes int) layout {
	return layout{
		chunk: 16, codeBytes: planes * 128, tableBytes: 128,
		group: 4, bits: planes * 4,
		place: func(row, group, bit int) (at, shift int) {
			return bit/4*128 + 64*(row/32) + 4*(row%16) + group, [4]int{0, 1, 4, 5}[bit%4] + row%32/16*2
		},
	}
}

func fives(planes, group int) layout {
	return layout{
		chunk: 8 * group, codeBytes: 5 * 64, tableBytes: 256,
		group: group, trits: planes == 2, bits: 5,
		place: func(row, column, bit int) (at, shift int) {
			vector := column/4*4 + row/16
			if vector >= 5 {
				vector, bit = [3][5]int{{0, 0, 0, 3, 3}, {1, 1, 1, 4, 4}, {2, 2, 2, 3, 4}}[vector-5][bit],
					[3][5]int{{5, 6, 7, 5, 6}, {5, 6, 7, 5, 7}, {5, 6, 7, 7, 6}}[vector-5][bit]
			}
			return 64*vector + 4*(row%16) + column%4, bit
		},
	}
}

// forLevel returns the kernels of a level that this machine has.
func forLevel(level isa.Level) *kernels {
	switch level {
	case isa.AVX512:
		if isa.SlowTwoTablePermutes() {
			return &avx512Intel
		}
		return &avx512
	case isa.AVX2:
		return &avx2
	default:
		return &portable
	}
}
