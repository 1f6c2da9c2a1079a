package random

import (
	"math"
	"math/bits"
	"testing"
)

// The first outputs of SplitMix64 from state 0, as its reference
// implementation (Vigna, splitmix64.c) gives them.
func TestStreamIsSplitMix64(t *testing.T) {
	t.Parallel()
	for n, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec} {
		even, odd := Stream(0).Pair(n)
		if got := uint64(odd)<<32 | uint64(even); got != want {
			t.Errorf("output %d is %#x, want %#x", n, got, want)
		}
	}
}

// Neighbouring seeds, steps, names and elements must look independent: over
// many pairs, equal bits are binomial with probability ½.
func TestNeighbouringStreamsAreUncorrelated(t *testing.T) {
	t.Parallel()
	base := NewStream(1, 1, "layer0.Wh")
	at := func(s Stream, n int) uint64 {
		even, odd := s.Pair(n)
		return uint64(odd)<<32 | uint64(even)
	}
	for name, other := range map[string]func(n int) uint64{
		"next seed":             func(n int) uint64 { return at(NewStream(2, 1, "layer0.Wh"), n) },
		"next step":             func(n int) uint64 { return at(NewStream(1, 2, "layer0.Wh"), n) },
		"seed and step swapped": func(n int) uint64 { return at(NewStream(1, 1<<32, "layer0.Wh"), n) },
		"another name":          func(n int) uint64 { return at(NewStream(1, 1, "layer0.Wx"), n) },
		"next element":          func(n int) uint64 { return at(base, n+1) },
		"halves swapped":        func(n int) uint64 { return bits.RotateLeft64(at(base, n), 32) },
	} {
		const pairs = 20000
		equal := 0
		for n := range pairs {
			equal += 64 - bits.OnesCount64(at(base, n)^other(n))
		}
		// Six standard deviations; "halves swapped" counts each pair of bits twice.
		bound := 6 * math.Sqrt2 * math.Sqrt(pairs*64) / 2
		if off := math.Abs(float64(equal) - pairs*32); off > bound {
			t.Errorf("%s: %d of %d bits are equal, want half within %.0f", name, equal, pairs*64, bound)
		}
	}
}

func TestEveryPartOfTheKeyChangesTheStream(t *testing.T) {
	t.Parallel()
	seen := map[Stream][3]any{}
	for seed := range uint64(20) {
		for step := range uint64(50) {
			for _, name := range []string{"", "layer0.Wx", "layer0.Wh", "layer1.Wx"} {
				s, key := NewStream(seed, step, name), [3]any{seed, step, name}
				if before, ok := seen[s]; ok {
					t.Fatalf("keys %v and %v give the same stream", before, key)
				}
				seen[s] = key
			}
		}
	}
}
