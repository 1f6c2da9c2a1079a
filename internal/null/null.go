// Package null holds a plugin of each kind that does next to nothing. What a
// run with them takes is the cost of the harness itself; reports print it in
// their footer.
package null

import (
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/network"
)

// Name is what all three are called.
const Name = "null"

func describe(kind plugins.Kind, summary string) plugins.Description {
	return plugins.Description{Kind: kind, Name: Name, Version: "2.0.0", API: plugins.APIVersion, Summary: summary}
}

// zeroLogits is the score of logits that are all 0: each target costs ln n where
// there are n classes, or n candidates among them, and the first of these counts as
// the most probable one.
func zeroLogits(b network.Batch, inputs []network.Input, classes int) network.Score {
	losses, firsts := make([]float64, b.Sequences), make([]int32, b.Sequences)
	for i := range b.Sequences {
		choices := classes
		if candidates := b.Candidates(inputs, i); candidates != nil {
			firsts[i] = int32(slices.Index(candidates, 1))
			choices = 0
			for _, mark := range candidates {
				choices += int(mark)
			}
		}
		losses[i] = math.Log(float64(choices))
	}
	var score network.Score
	for at, target := range b.Targets {
		if target < 0 {
			continue
		}
		i := at % b.Sequences
		score.LossSum += losses[i]
		score.Count++
		if target == firsts[i] {
			score.Correct++
		}
	}
	return score
}
