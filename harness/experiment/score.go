package experiment

import (
	"math"

	"bittern/plugins/model"
)

// scoreLogits sums −log p(target) over rows of logits, one row of size values
// a target: the logarithm of the softmax, in float64 and shifted by the
// largest logit so that it neither overflows nor loses the small ones.
func scoreLogits(logits []float32, targets []int32, size int) model.Evaluation {
	return score(logits, targets, size, func(row []float32, target int) float64 {
		shift := float64(row[largest(row)])
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - shift)
		}
		return math.Log(sum) + shift - float64(row[target])
	})
}

// scoreProbabilities does the same for rows of probabilities. A machine whose
// fixed point rounds the target's probability to zero has an infinite loss.
func scoreProbabilities(probabilities []float32, targets []int32, size int) model.Evaluation {
	return score(probabilities, targets, size, func(row []float32, target int) float64 {
		return -math.Log(float64(row[target]))
	})
}

func score(outputs []float32, targets []int32, size int, loss func(row []float32, target int) float64) model.Evaluation {
	evaluation := model.Evaluation{Count: len(targets)}
	for i, target := range targets {
		row := outputs[i*size : (i+1)*size]
		evaluation.LossSum += loss(row, int(target))
		if largest(row) == int(target) {
			evaluation.Correct++
		}
	}
	return evaluation
}

// largest is the index of the largest value, the first where several are.
func largest(row []float32) int {
	at := 0
	for i, v := range row {
		if v > row[at] {
			at = i
		}
	}
	return at
}
