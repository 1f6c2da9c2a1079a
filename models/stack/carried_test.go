package stack

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// window writes to the batch of short the steps of long's from the given one on.
func window(short, long *rig, from int) {
	n := short.request.Shape.Sequences
	count := short.request.Shape.Steps["text"]
	copy(short.request.Batch.Int32["read"], long.request.Batch.Int32["read"][from*n:(from+count)*n])
	copy(short.request.Batch.Targets, long.request.Batch.Targets[from*n:(from+count)*n])
	for i := range short.request.Batch.Fresh {
		short.request.Batch.Fresh[i] = 0
	}
	if from == 0 {
		short.allFresh()
	}
}

// TestWindowsAreOneSequence runs long sequences at once, and window after window
// with carried state and the same parameters, and finds the same scores and
// losses: what Step carries and what Evaluate carries do not disturb each other.
// In the middle a network goes on that was built anew from buffers, as a resumed run does.
func TestWindowsAreOneSequence(t *testing.T) {
	t.Parallel()
	const windows = 3
	for _, create := range []func() model.Model{newPlugin, newGRU} {
		for _, normalization := range []string{"none", "layer", "weight"} {
			t.Run(fmt.Sprintf("%s %s", mustDescribe(t, create()).Name, normalization), func(t *testing.T) {
				t.Parallel()
				options := plugins.Values{"units": "13", "layers": "2", "normalization": normalization}
				shape := characters
				shape.Steps = map[string]int{"text": windows * characters.Steps["text"]}
				long := buildOf(t, create, options, shape, 2, model.Float32)
				long.randomise()
				same := func() *rig {
					r := buildOf(t, create, options, carried(characters), 2, model.Float32)
					for name, p := range r.request.Parameters {
						copy(p.Value, long.request.Parameters[name].Value)
						copy(p.Quantized, long.request.Parameters[name].Quantized)
					}
					return r
				}
				short := same()
				long.fill(4)
				wantScore, wantLoss := long.evaluate(model.Evaluate{Statistics: model.Frozen}), long.step(0).Loss
				var score network.Score
				var loss float64
				for i := range windows {
					if i == 2 {
						resumed := same()
						for name, b := range short.request.Buffers {
							copy(resumed.request.Buffers[name], b)
						}
						window(resumed, long, i*characters.Steps["text"])
						window(short, long, i*characters.Steps["text"])
						if got, want := resumed.step(uint64(i)).Loss, short.step(uint64(i)).Loss; got != want {
							t.Errorf("a network resumed from buffers has the loss %v, want %v", got, want)
						} else {
							loss += got / windows
						}
						score.Add(short.evaluate(model.Evaluate{Statistics: model.Frozen}))
						continue
					}
					window(short, long, i*characters.Steps["text"])
					loss += short.step(uint64(i)).Loss / windows
					score.Add(short.evaluate(model.Evaluate{Statistics: model.Frozen}))
				}
				if score.Count != wantScore.Count || !(math.Abs(score.LossSum-wantScore.LossSum) <= 1e-4) {
					t.Errorf("windows have the score %+v, the whole %+v", score, wantScore)
				}
				if !(math.Abs(loss-wantLoss) <= 1e-5) {
					t.Errorf("windows have the mean loss %v, the whole %v", loss, wantLoss)
				}
				// Had the state not been carried, the score would be another.
				for i := range windows {
					window(short, long, i*characters.Steps["text"])
					short.allFresh()
					score.Add(short.evaluate(model.Evaluate{Statistics: model.Frozen}))
				}
				if fresh := score.LossSum - wantScore.LossSum; math.Abs(fresh-wantScore.LossSum) < 1e-2 {
					t.Errorf("fresh windows have the loss %v, the whole %v: the test shows nothing", fresh, wantScore.LossSum)
				}
			})
		}
	}
}

// TestCarriedFilling carries the state of sequences that have no target.
func TestCarriedFilling(t *testing.T) {
	t.Parallel()
	run := func(filling bool) network.Score {
		r := build(t, plugins.Values{"units": "9", "normalization": "layer"}, carried(characters), 2)
		r.randomise()
		r.fill(1)
		r.allFresh()
		if filling {
			for i := range r.request.Batch.Targets {
				r.request.Batch.Targets[i] = -1
			}
		}
		r.evaluate(model.Evaluate{Statistics: model.Frozen})
		r.fill(2)
		return r.evaluate(model.Evaluate{Statistics: model.Frozen})
	}
	if got, want := run(true), run(false); got != want {
		t.Errorf("after a batch without targets the score is %+v, with them %+v", got, want)
	}
}

// TestPlan lists the buffers of carried state, the parameters of both directions, and
// the settings in the words of the published results.
func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		create   func() model.Model
		options  plugins.Values
		shape    network.Shape
		buffers  []model.Buffer // that must be there
		settings []model.Setting
		names    []string // of parameters that must be there
	}{
		"the paper's": {newPlugin, plugins.Values{"units": "8"}, carried(characters),
			[]model.Buffer{{Name: "layer0.h", Shape: []int{5, 8}}, {Name: "layer0.c", Shape: []int{5, 8}}, {Name: "layer0.mean_h", Shape: []int{1, 32}}},
			[]model.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-cell"}},
			[]string{"layer0.Wh", "softmax.W"}},
		"gru": {newGRU, plugins.Values{"units": "8", "layers": "2", "embedding": "3", "dropout": "0.5", "bidirectional": "true", "reset": "before"}, sentences,
			[]model.Buffer{{Name: "layer1.forward.mean_h", Shape: []int{1, 24}}, {Name: "layer1.backward.mean_h", Shape: []int{1, 24}}},
			[]model.Setting{
				{Name: "cell", Value: "GRU"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "2"}, {Name: "normalization", Value: "batch-shared"}, // with lengths one set is deployed
				{Name: "reset", Value: "before"}, {Name: "bidirectional", Value: "true"}, {Name: "embedding", Value: "3"}, {Name: "dropout", Value: "0.5"},
			},
			[]string{"embedding.W", "layer0.forward.Wx", "layer1.backward.Whn"}},
		"carried": {newPlugin, plugins.Values{"units": "8", "normalize-cell": "false"}, carried(characters),
			nil,
			[]model.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-shared"}},
			nil},
		"statistics of each step": {newPlugin, plugins.Values{"units": "8", "normalize-cell": "false"}, characters,
			nil,
			[]model.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch"}},
			nil},
		"rounded": {newPlugin, plugins.Values{"units": "8", "hidden-bits": "3"}, characters,
			nil,
			[]model.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-cell"}, {Name: "hidden bits", Value: "3"}},
			nil},
		"shared": {newPlugin, plugins.Values{"units": "8", "normalization": "batch-shared", "normalize-cell": "false"}, characters,
			nil,
			[]model.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "8"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: "batch-shared"}},
			nil},
	} {
		plan, err := test.create().Plan(context.Background(), test.options, test.shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.buffers {
			if !slices.ContainsFunc(plan.Buffers, func(b model.Buffer) bool { return b.Name == want.Name && slices.Equal(b.Shape, want.Shape) }) {
				t.Errorf("%s: the plan has the buffers %v, not %v", name, plan.Buffers, want)
			}
		}
		for _, want := range test.names {
			if !slices.ContainsFunc(plan.Parameters, func(p model.Parameter) bool { return p.Name == want }) {
				t.Errorf("%s: the plan has the parameters %v, not %s", name, plan.Parameters, want)
			}
		}
		if !slices.Equal(plan.Settings, test.settings) {
			t.Errorf("%s: settings %v, want %v", name, plan.Settings, test.settings)
		}
	}
}
