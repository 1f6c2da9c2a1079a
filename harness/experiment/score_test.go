package experiment

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

func TestScoreLogits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		logits  []float32
		targets []int32
		size    int
		want    model.Evaluation
	}{
		// Equal logits guess blindly: ln 4 nats, and the first class.
		{"uniform", []float32{0, 0, 0, 0}, []int32{0}, 4, model.Evaluation{LossSum: math.Log(4), Count: 1, Correct: 1}},
		{"shifted alike", []float32{7, 7, 7, 7}, []int32{3}, 4, model.Evaluation{LossSum: math.Log(4), Count: 1}},
		// softmax(0, ln 3) = (1/4, 3/4), to float32 precision of the logit.
		{"two rows", []float32{0, float32(math.Log(3)), 0, float32(math.Log(3))}, []int32{0, 1}, 2,
			model.Evaluation{LossSum: logOneAndExp(math.Log(3)) + logOneAndExp(-math.Log(3)), Count: 2, Correct: 1}},
		// Far beyond what e^x can hold.
		{"huge", []float32{10000, 0}, []int32{1}, 2, model.Evaluation{LossSum: 10000, Count: 1}},
		{"tiny", []float32{-10000, -10001}, []int32{0}, 2, model.Evaluation{LossSum: math.Log1p(math.Exp(-1)), Count: 1, Correct: 1}},
	} {
		got := scoreLogits(c.logits, c.targets, c.size)
		if !near(got.LossSum, c.want.LossSum) || got.Count != c.want.Count || got.Correct != c.want.Correct {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// logOneAndExp is ln(1 + e^x) of x rounded to float32, as a logit is.
func logOneAndExp(x float64) float64 { return math.Log1p(math.Exp(float64(float32(x)))) }

func TestScoreProbabilities(t *testing.T) {
	t.Parallel()
	got := scoreProbabilities([]float32{0.25, 0.75, 0.5, 0.5}, []int32{1, 0}, 2)
	want := model.Evaluation{LossSum: -math.Log(0.75) - math.Log(0.5), Count: 2, Correct: 2}
	if !near(got.LossSum, want.LossSum) || got.Count != 2 || got.Correct != 2 {
		t.Errorf("score = %+v, want %+v", got, want)
	}
	if got := scoreProbabilities([]float32{0, 1}, []int32{0}, 2); !math.IsInf(got.LossSum, 1) {
		t.Errorf("loss of a target given no probability = %v, want infinite", got.LossSum)
	}
}

func TestScoreOutputsFindsTheTargetsOfItsSequences(t *testing.T) {
	t.Parallel()
	logits := stepgraph.Graph{Output: "y", Nodes: []stepgraph.Node{{Name: "y", Op: stepgraph.MatVec}}}
	probabilities := stepgraph.Graph{Output: "y", Nodes: []stepgraph.Node{{Name: "y", Op: stepgraph.Softmax}}}
	sure := []float32{0, 50} // logits of class 1
	targets := []int32{9, 9, 9, 1, 1, 1}

	tokens := backend.Execute{Sequences: 1, Length: 3, Tokens: make([]int32, 3), Outputs: append(append(append([]float32{}, sure...), sure...), sure...)}
	if got := scoreOutputs(tokens, targets, 1, logits, 2); got.Correct != 3 || got.Count != 3 {
		t.Errorf("the second sequence of 3 steps: %+v, want 3 of 3 correct", got)
	}
	dense := backend.Execute{Sequences: 2, Length: 2, Dense: make([]float32, 4), Outputs: []float32{1, 0, 0, 1, 1, 0, 0, 1}}
	if got := scoreOutputs(dense, targets, 3, probabilities, 2); got.Correct != 2 || got.Count != 2 || got.LossSum != 0 {
		t.Errorf("last steps of sequences 3 and 4: %+v, want 2 of 2 correct at no loss", got)
	}
}

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
