package experiment

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins/quantizer"
)

// The seeds of evaluations are part of every stored number: this golden value
// may not change without a new config format.
func TestDrawFor(t *testing.T) {
	t.Parallel()
	// The first 8 bytes of SHA-256("test/1/400"), little-endian.
	want := quantizer.Draw{Seed: 0xa3b449e33514035f, Step: 7}
	if got := drawFor(forTest, 1, 400, 7); cmp.Diff(want, got) != "" {
		t.Errorf("drawFor = %#x, want %#x", got, want)
	}
	draws := map[uint64]bool{}
	for _, purpose := range []string{forValidation, forTest, forDeployment} {
		for seed := range uint64(3) {
			for step := range 3 {
				draws[drawFor(purpose, seed, step, 0).Seed] = true
			}
		}
	}
	if len(draws) != 27 {
		t.Errorf("%d different seeds for 27 purposes, seeds and steps", len(draws))
	}
}
