package task

import (
	"math"
	"testing"

	"bittern/plugins/model"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

// logOneAndExp is ln(1 + e^x) of x rounded to float32, as a logit is.
func logOneAndExp(x float64) float64 { return math.Log1p(math.Exp(float64(float32(x)))) }

func TestScore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		outputs       []float32
		targets       []int32
		classes       int
		probabilities bool
		want          model.Evaluation
	}{
		// Equal logits guess blindly: ln 4 nats, and the first class.
		{"uniform", []float32{0, 0, 0, 0}, []int32{0}, 4, false, model.Evaluation{LossSum: math.Log(4), Count: 1, Correct: 1}},
		{"shifted alike", []float32{7, 7, 7, 7}, []int32{3}, 4, false, model.Evaluation{LossSum: math.Log(4), Count: 1}},
		// softmax(0, ln 3) = (1/4, 3/4), to float32 precision of the logit.
		{"two rows", []float32{0, float32(math.Log(3)), 0, float32(math.Log(3))}, []int32{0, 1}, 2, false,
			model.Evaluation{LossSum: logOneAndExp(math.Log(3)) + logOneAndExp(-math.Log(3)), Count: 2, Correct: 1}},
		// Far beyond what e^x can hold.
		{"huge", []float32{10000, 0}, []int32{1}, 2, false, model.Evaluation{LossSum: 10000, Count: 1}},
		{"tiny", []float32{-10000, -10001}, []int32{0}, 2, false, model.Evaluation{LossSum: math.Log1p(math.Exp(-1)), Count: 1, Correct: 1}},
		{"probabilities", []float32{0.25, 0.75, 0.5, 0.5}, []int32{1, 0}, 2, true,
			model.Evaluation{LossSum: -math.Log(0.75) - math.Log(0.5), Count: 2, Correct: 2}},
	} {
		got := Sequences{Count: len(c.targets), Length: 1, Targets: c.targets}.Score(c.outputs, c.classes, c.probabilities)
		if !near(got.LossSum, c.want.LossSum) || got.Count != c.want.Count || got.Correct != c.want.Correct {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := (Sequences{Count: 1, Length: 1, Targets: []int32{0}}).Score([]float32{0, 1}, 2, true); !math.IsInf(got.LossSum, 1) {
		t.Errorf("loss of a target given no probability = %v, want infinite", got.LossSum)
	}
}

func TestScoreFindsTheTargetsOfItsSequences(t *testing.T) {
	t.Parallel()
	tokens := Sequences{Count: 2, Length: 3, Tokens: []int32{1, 2, 3, 4, 5, 6}, Targets: []int32{9, 9, 9, 1, 1, 1}}.Slice(1, 1)
	sure := []float32{0, 50, 0, 50, 0, 50} // logits of class 1
	if got := tokens.Score(sure, 2, false); got.Correct != 3 || got.Count != 3 || len(tokens.Tokens) != 3 || tokens.Tokens[0] != 4 {
		t.Errorf("the second sequence of 3 steps: %+v of the tokens %v, want 3 of 3 correct of 4, 5, 6", got, tokens.Tokens)
	}
	dense := Sequences{Count: 4, Length: 2, Width: 3, Dense: make([]float32, 24), Targets: []int32{9, 9, 1, 1}}
	dense.Dense[12] = 7
	last := dense.Slice(2, 2)
	if got := last.Score([]float32{1, 0, 0, 1, 1, 0, 0, 1}, 2, true); got.Correct != 2 || got.Count != 2 || got.LossSum != 0 {
		t.Errorf("last steps of sequences 3 and 4: %+v, want 2 of 2 correct at no loss", got)
	}
	if len(last.Dense) != 12 || last.Dense[0] != 7 {
		t.Errorf("features %v, want the 12 of sequences 3 and 4", last.Dense)
	}
}
