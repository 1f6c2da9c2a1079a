package matmul

import (
	"math/rand/v2"
	"sync"

	"bittern/accel/kernels/isa"
)

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

// forBFloat16 returns the kernel of bfloat16 of a level.
func forBFloat16(level isa.Level) *kernel {
	switch level {
	case isa.AVX512BF16:
		if sameBits() {
			return &avx512BF16
		}
		return &avx512Rounded
	case isa.AVX512:
		return &avx512Rounded
	case isa.AVX2:
		return &avx2Rounded
	}
	return &portableBFloat16
}

// Both vector levels add in the same order, so they agree to the bit. The blocks are the
// best of those tried on Zen 5: 256 KiB of A, which leave half of the smallest second-level
// cache of their time to the panel, and a depth long enough that C is seldom read again.

// avx512 holds 8×48 sums in 24 of the 32 registers: 11 loads feed 24 multiply-adds.
var avx512 = kernel{
	lanes:   16,
	vectors: 3,
	heights: []int{8, 4, 2, 1},
	full: [][]fullTile{
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
	full: [][]fullTile{
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

// sameBits says whether this processor's VDPBF16PS has the bits that Intel documents. Results are
// told apart by the level of float32 alone, so that one which has not is not used. It
// multiplies numbers with all digits, and of sizes at which sums round, cancel and vanish.
var sameBits = sync.OnceValue(func() bool {
	const columns, depth = 16, 256
	var a [depth]float32
	var b [depth * columns]float32
	random := rand.New(rand.NewPCG(1, 16))
	for _, numbers := range [][]float32{a[:], b[:]} {
		for i := range numbers {
			numbers[i] = word(awkward(random), awkward(random))
		}
	}
	var got [columns]float32
	dot1x16BF16(got[:], columns, a[:], depth, 1, b[:], columns, depth, columns, false, nil, true)
	for j, got := range got {
		var want float32
		for p := range depth {
			want = addWords(want, a[p], b[p*columns+j])
		}
		if got != want {
			return false
		}
	}
	return true
})

// awkward returns a number of one of three sizes.
func awkward(random *rand.Rand) float32 {
	scale := [...]float64{1, 0x1p-12, 0x1p-63}[random.IntN(3)]
	return float32(random.NormFloat64() * scale)
}

// avx512BF16 is as avx512: its panels and tiles have as many words as those have floats.
var avx512BF16 = kernel{
	lanes:   16,
	vectors: 3,
	heights: []int{8, 4, 2, 1},
	full: [][]fullTile{
		{dot8x16BF16, dot8x32BF16, dot8x48BF16},
		{dot4x16BF16, dot4x32BF16, dot4x48BF16},
		{dot2x16BF16, dot2x32BF16, dot2x48BF16},
		{dot1x16BF16, dot1x32BF16, dot1x48BF16},
	},
	pairing:   &pairing{1, pairAlongBF16, pairAcrossBF16},
	rows:      128,
	depth:     depthBFloat16,
	columns:   960,
	inPlace:   true,
	copyRows:  copyRowsAVX2,
	transpose: transpose8AVX2,
}

// avx512Rounded and avx2Rounded compute as the kernels of float32 with rounded operands.
var (
	avx512Rounded = avx512.rounded(pairing{2, roundAlongAVX512, roundAcrossAVX512})
	avx2Rounded   = avx2.rounded(pairing{2, roundAlongAVX2, roundAcrossAVX2})
)

func (k kernel) rounded(p pairing) kernel {
	k.pairing, k.depth = &p, depthBFloat16
	return k
}
