package matmul

import "bittern/accel/kernels/isa"

//go:generate go -C ../../_gen run ./matmul -pkg matmul -out ../kernels/matmul/matmul_amd64.s -stubs ../kernels/matmul/stubs_amd64.go

// forLevel returns the kernel of a level.
func forLevel(level isa.Level) *kernel {
	switch level {
	case isa.AVX512:
		return &avx512
	case isa.AVX2:
		return &avx2
	}
	return &portable
}

// Both vector levels add in the same order, so they agree to the bit. The blocks are the
// best of those tried on Zen 5: 256 KiB of A, which leave half of the smallest second-level
// cache of their time to the panel, and a depth long enough that C is seldom read again.

// avx512 holds 8×48 sums in 24 of the 32 registers: 11 loads feed 24 multiply-adds.
var avx512 = kernel{
	lanes:   16,
	vectors: 3,
	heights: []int{8, 4, 2, 1},
	tiles: [][]tile{
		{tile8x16AVX512, tile8x32AVX512, tile8x48AVX512},
		{tile4x16AVX512, tile4x32AVX512, tile4x48AVX512},
		{tile2x16AVX512, tile2x32AVX512, tile2x48AVX512},
		{tile1x16AVX512, tile1x32AVX512, tile1x48AVX512},
	},
	rows:      128,
	depth:     512,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRowsAVX2,
	transpose: transpose8AVX2,
}

// avx2 holds 4×24 sums in 12 of the 16 registers: 7 loads feed 12 multiply-adds.
var avx2 = kernel{
	lanes:   8,
	vectors: 3,
	heights: []int{4, 2, 1},
	tiles: [][]tile{
		{tile4x8AVX2, tile4x16AVX2, tile4x24AVX2},
		{tile2x8AVX2, tile2x16AVX2, tile2x24AVX2},
		{tile1x8AVX2, tile1x16AVX2, tile1x24AVX2},
	},
	rows:      128,
	depth:     512,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRowsAVX2,
	transpose: transpose8AVX2,
}

// integersForLevel returns the kernel of a level for whole numbers.
func integersForLevel(level isa.Level) *integerKernel {
	switch level {
	case isa.AVX512:
		return &integersAVX512
	case isa.AVX2:
		return &integersAVX2
	}
	return &portableIntegers
}

// integersAVX512 has the tiles of avx512.
var integersAVX512 = integerKernel{
	lanes:   16,
	vectors: 3,
	heights: []int{8, 4, 2, 1},
	tiles: [][]integerTile{
		{integerTile8x16AVX512, integerTile8x32AVX512, integerTile8x48AVX512},
		{integerTile4x16AVX512, integerTile4x32AVX512, integerTile4x48AVX512},
		{integerTile2x16AVX512, integerTile2x32AVX512, integerTile2x48AVX512},
		{integerTile1x16AVX512, integerTile1x32AVX512, integerTile1x48AVX512},
	},
}

// integersAVX2 holds 4×16 sums in 8 of the 16 registers.
var integersAVX2 = integerKernel{
	lanes:   8,
	vectors: 2,
	heights: []int{4, 2, 1},
	tiles: [][]integerTile{
		{integerTile4x8AVX2, integerTile4x16AVX2},
		{integerTile2x8AVX2, integerTile2x16AVX2},
		{integerTile1x8AVX2, integerTile1x16AVX2},
	},
}
