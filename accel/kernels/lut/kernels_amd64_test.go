package lut

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/accel/kernels/isa"
)

// A processor uses one of the two forms of the int8 sums; both give the same ones.
func TestTwoPermutesGiveTheSameSums(t *testing.T) {
	t.Parallel()
	if isa.Detected() < isa.AVX512 {
		t.Skip("skipped: this machine has no AVX-512")
	}
	rng := rand.New(rand.NewPCG(12, 12))
	random := func(n int) []byte {
		bytes := aligned(n)
		for i := range bytes {
			bytes[i] = byte(rng.Uint32())
		}
		return bytes
	}
	l := fives(1, 5)
	for chunks := 1; chunks <= 5; chunks++ {
		const blocks = 2
		codes, tables := random(blocks*chunks*l.codeBytes), random(chunks*l.tableBytes)
		want, got := make([]int32, blocks*blockRows), make([]int32, blocks*blockRows)
		int8SumsAVX512(want, codes, tables, chunks)
		int8SumsTwoPermutesAVX512(got, codes, tables, chunks)
		if !slices.Equal(got, want) {
			t.Errorf("%d chunks: got sums %v, want %v", chunks, got, want)
		}
	}
}
