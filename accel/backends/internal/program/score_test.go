package program

import (
	"math"
	"math/rand/v2"
	"testing"

	"bittern/plugins/network"
)

// The faster way to score has the bits of the contract's.
func TestScoreIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	logits, candidates := make([]float32, 300), make([]int32, 300)
	for i := range logits {
		logits[i] = float32(30 * rng.NormFloat64())
		candidates[i] = int32(rng.IntN(2))
	}
	logits[7] = logits[200] // equal classes
	infinite, broken := append([]float32{}, logits...), append([]float32{}, logits...)
	infinite[5], broken[0] = float32(math.Inf(-1)), float32(math.NaN())
	var got, want network.Score
	for _, x := range [][]float32{logits, logits[:1], infinite, broken} {
		for _, allowed := range [][]int32{nil, candidates} {
			if len(x) == 1 && allowed != nil {
				continue
			}
			for _, target := range []int32{-1, 0, int32(len(x) / 2), int32(len(x) - 1)} {
				score(&got, x, target, allowed)
				want.Target(x, target, allowed)
				if got.Count != want.Count || got.Correct != want.Correct || math.Float64bits(got.LossSum) != math.Float64bits(want.LossSum) {
					t.Fatalf("target %d of %d: got %+v, want %+v", target, len(x), got, want)
				}
				if math.IsNaN(want.LossSum) || math.IsInf(want.LossSum, 0) {
					got.LossSum, want.LossSum = 0, 0
				}
			}
		}
	}
}
