package fixed

import "bittern/accel/kernels/isa"

//go:generate go -C ../../_gen run ./fixed -pkg fixed -out ../kernels/fixed/fixed_amd64.s -stubs ../kernels/fixed/stubs_amd64.go

var avx2 = kernels{
	lanes:     8,
	scaleSums: scaleSumsAVX2, scaleIntegers: scaleIntegersAVX2,
	add: addAVX2, multiply: multiplyAVX2, convert: convertAVX2,
	widen: widenAVX2, accumulate: accumulateAVX2, narrow: narrowAVX2,
}

var avx512 = kernels{
	lanes:     16,
	scaleSums: scaleSumsAVX512, scaleIntegers: scaleIntegersAVX512,
	add: addAVX512, multiply: multiplyAVX512, convert: convertAVX512,
	widen: widenAVX512, accumulate: accumulateAVX512, narrow: narrowAVX512,
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
