package experiment

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/artifact"
	"bittern/harness/dataset"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// constant is a backend whose outputs all have one value.
type constant float32

func (constant) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{}, nil
}
func (constant) Deploy(context.Context, backend.Deploy) (backend.Deployed, error) {
	return backend.Deployed{}, nil
}
func (constant) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	return backend.Cost{}, nil
}
func (c constant) Execute(_ context.Context, request backend.Execute) error {
	for i := range request.Outputs {
		request.Outputs[i] = float32(c)
	}
	return nil
}

// TestAScoreIsANumber holds that probabilities of which there is no logarithm
// fail their deployment: neither a table nor JSON has room for an infinity.
func TestAScoreIsANumber(t *testing.T) {
	t.Parallel()
	text, err := dataset.Load(t.Context(), dataset.Request{Name: "grammar", MaxBytes: 1500})
	if err != nil {
		t.Fatal(err)
	}
	lm, err := task.NewLanguageModel(text, 7, 23)
	if err != nil {
		t.Fatal(err)
	}
	network := artifact.Network{Graph: stepgraph.Graph{Output: "p", Nodes: []stepgraph.Node{{Name: "p", Op: stepgraph.Softmax}}}}
	run := func(probability float32) (outcome, error) {
		return deploy(t.Context(), constant(probability), Plugin{Label: "slide rule"}, network, lm, 0, &Quiet{}, func(int, int) {})
	}
	for _, probability := range []float32{0, -1} {
		_, err := run(probability)
		if f, ok := errors.AsType[*Failure](err); !ok || !strings.HasPrefix(f.Reason, "slide rule gives targets probabilities of 0 or less") {
			t.Errorf("probability %v: error %v, want a failure that says so", probability, err)
		}
	}
	if o, err := run(0.5); err != nil || o.score == nil || math.Abs(*o.score-1) > 1e-12 {
		t.Errorf("probability 0.5: %+v, %v, want a score of 1 bit", o, err)
	}
}

// What a machine says of a timed figure is stored whole.
func TestTheSpreadOfATimeIsStored(t *testing.T) {
	t.Parallel()
	o := outcome{cost: &backend.Cost{Seconds: new(2.0), SecondsLow: new(1.0), SecondsHigh: new(3.0), Measured: true, N: 7}}
	var d store.Deployment
	o.into(&d)
	want := &store.Cost{Seconds: new(2.0), SecondsLow: new(1.0), SecondsHigh: new(3.0), Measured: true, N: 7}
	if diff := cmp.Diff(want, d.Cost); diff != "" {
		t.Errorf("stored cost (-want +got):\n%s", diff)
	}
}
