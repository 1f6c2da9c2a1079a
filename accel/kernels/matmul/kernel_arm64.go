package matmul

import "bittern/accel/kernels/isa"

// forLevel returns the kernel of a level.
func forLevel(level isa.Level) *kernel {
	if level == isa.NEON {
		return &neon
	}
	return &portable
}

// forBFloat16 returns the kernel of bfloat16 of a level. BFDOT of arm64 rounds otherwise than
// VDPBF16PS, so plain Go takes its place.
func forBFloat16(isa.Level) *kernel { return &portableBFloat16 }

// neon holds 8×12 sums in 24 of the 32 registers: 9 loads feed 24 multiply-adds.
// The blocks are those of amd64; no others have been tried on arm64.
var neon = kernel{
	lanes:   4,
	vectors: 3,
	heights: []int{8, 4, 2, 1},
	tiles: [][]tile{
		{tile8x4NEON, tile8x8NEON, tile8x12NEON},
		{tile4x4NEON, tile4x8NEON, tile4x12NEON},
		{tile2x4NEON, tile2x8NEON, tile2x12NEON},
		{tile1x4NEON, tile1x8NEON, tile1x12NEON},
	},
	rows:      128,
	depth:     512,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRows,
	transpose: transpose8,
}

// integersForLevel returns the kernel of a level for whole numbers.
func integersForLevel(level isa.Level) *integerKernel {
	if level == isa.NEON {
		return &integersNEON
	}
	return &portableIntegers
}

// integersNEON holds 8×8 sums in 16 of the 32 registers: 9 loads feed 32 multiply-adds.
var integersNEON = integerKernel{
	lanes:   8,
	vectors: 1,
	heights: []int{8, 4, 2, 1},
	tiles:   [][]integerTile{{integerTile8x8NEON}, {integerTile4x8NEON}, {integerTile2x8NEON}, {integerTile1x8NEON}},
}
