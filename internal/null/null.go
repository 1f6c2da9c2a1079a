// Package null has a plugin of each kind that does almost nothing. The time of a run with them
// is the cost of the harness itself, which reports print in their footer.
package null

import (
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/network"
)

// Name is the name of all three.
const Name = "null"

func describe(kind plugins.Kind, summary string) plugins.Description {
	return plugins.Description{Kind: kind, Name: Name, Version: "2.0.0", API: plugins.APIVersion, Summary: summary}
}

// zeroLogits returns the score of logits that are all 0. A target then costs ln n nats, where n
// is the number of classes, or of the candidates among them; the prediction is the first of
// these.
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
