package lut

import "bittern/accel/kernels/isa"

var neon = kernels{
	int14: [2]summation[int32]{
		{nibblesNEON(1, 64), int14Sums1NEON, nil},
		{nibblesNEON(2, 64), int14Sums2NEON, nil},
	},
	int8: [2]summation[int32]{
		{nibblesNEON(1, 32), int8Sums1NEON, nil},
		{nibblesNEON(2, 32), int8Sums2NEON, nil},
	},
	int14Tables:            int14TablesNEON,
	int8Tables:             [2]func([]byte, []int16, int16){int8TablesNEON, int8TablesNEON},
	int8Largest:            [2]func([]int16) int32{int8LargestNEON, int8LargestNEON},
	largest:                largestNEON,
	quantize:               quantizeNEON,
	fromIntegers:           fromIntegersNEON,
	fromIntegersScaleShift: fromIntegersScaleShiftNEON,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose2NEON, choose3NEON},
	chooseScaleAdd:         [2]func([]float32, []byte, int, []float32, int, int, []float32, []float32){chooseScaleAdd2NEON, chooseScaleAdd3NEON},
	codedSums:              codedSumsNEON,
	codedColumn:            codedColumnNEON,
	dense:                  denseNEON,
	lanes:                  4,
}

// nibblesNEON is the layout of the package documentation.
func nibblesNEON(planes, tableBytes int) layout {
	return layout{
		chunk: 8, codeBytes: planes * 64, tableBytes: tableBytes,
		group: 4, bits: planes * 4,
		place: func(row, group, bit int) (at, shift int) { return bit/4*64 + row, 4*group + bit%4 },
	}
}

// forLevel returns the kernels of a level.
func forLevel(level isa.Level) *kernels {
	if level == isa.NEON {
		return &neon
	}
	return &portable
}
