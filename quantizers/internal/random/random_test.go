package random

import (
	"math"
	"math/bits"
	"testing"

	"bittern/accel/kernels/vecmath"
)

// Neighbouring seeds, steps, names and elements must look independent: over
// many pairs, equal bits are binomial with probability ½.
func TestNeighbouringStreamsAreUncorrelated(t *testing.T) {
	t.Parallel()
	base := NewStream(1, 1, "layer0.Wh")
	at := func(s Stream, n int) uint64 { return vecmath.SplitMix64(uint64(s), n) }
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
