package task

import (
	"math"

	"bittern/plugins/model"
)

// Sequences are whole sequences one after another, each Length steps. They may
// share memory with the task: read only.
type Sequences struct {
	Count, Length int
	Tokens        []int32   // Count·Length, for a task over tokens
	Dense         []float32 // Count·Length·Width, for a task over features
	Width         int       // features of a step
	Targets       []int32   // Count·Length, or Count for one target after the last step
}

// Slice is count of the sequences, from number from on.
func (s Sequences) Slice(from, count int) Sequences {
	part := s
	part.Count = count
	part.Targets = slice(s.Targets, from, count, len(s.Targets)/max(1, s.Count))
	if s.Dense != nil {
		part.Dense = slice(s.Dense, from, count, s.Length*s.Width)
	} else {
		part.Tokens = slice(s.Tokens, from, count, s.Length)
	}
	return part
}

func slice[T any](values []T, from, count, size int) []T {
	return values[from*size : (from+count)*size]
}

// Score sums the losses of the outputs of all steps of all sequences, classes values a
// step, over the steps that have a target: every one, or the last of each sequence. The
// outputs are logits, or else probabilities.
//
// The loss of logits is the logarithm of their softmax, in float64 and shifted by the
// largest so that it neither overflows nor loses the small ones. A machine whose fixed
// point rounds the target's probability to zero has an infinite loss.
func (s Sequences) Score(outputs []float32, classes int, probabilities bool) model.Evaluation {
	first, stride := 0, 1
	if len(s.Targets) != s.Count*s.Length {
		first, stride = s.Length-1, s.Length
	}
	loss := logitLoss
	if probabilities {
		loss = probabilityLoss
	}
	e := model.Evaluation{Count: len(s.Targets)}
	for i, target := range s.Targets {
		row := outputs[(first+i*stride)*classes:][:classes]
		e.LossSum += loss(row, int(target))
		if largest(row) == int(target) {
			e.Correct++
		}
	}
	return e
}

func logitLoss(row []float32, target int) float64 {
	shift := float64(row[largest(row)])
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - shift)
	}
	return math.Log(sum) + shift - float64(row[target])
}

func probabilityLoss(row []float32, target int) float64 { return -math.Log(float64(row[target])) }

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
