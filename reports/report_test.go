package reports

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports/internal/sample"

	"github.com/google/go-cmp/cmp"
)

func collected(t *testing.T) *Report {
	t.Helper()
	r, err := Collect(context.Background(), sample.Golden(t), "golden", Selection{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSeedsAreSummarised(t *testing.T) {
	t.Parallel()
	r := collected(t)
	if len(r.Networks) != 3 || len(machineLines(r)) != 6 {
		t.Fatalf("got %d networks on %d backends, want three on two each", len(r.Networks), len(machineLines(r)))
	}
	n := r.Networks[0]
	if got := n.Deployable; got.N != 2 || *got.Mean != (1.79+1.80)/2 || got.Std == nil {
		t.Errorf("two seeds: got %+v", got)
	}
	asic, cpu := n.Deployments[0], n.Deployments[1]
	if asic.Bytes == nil || *asic.Bytes != 2153344 || cpu.Bytes != nil {
		t.Errorf("bytes: got %v and %v, want the sum of the backend's memory, and nothing of the one that does not tell", asic.Bytes, cpu.Bytes)
	}
	if len(n.Published) != 2 {
		t.Errorf("got %d published results, want both papers'", len(n.Published))
	}
	if one := r.Networks[1]; one.Deployable.Std != nil || one.Deployable.N != 1 {
		t.Errorf("one seed must have no deviation: got %+v", one.Deployable)
	}
	if cpu.Energy.Mean != nil || cpu.Energy.Missing != "no power meter is read" {
		t.Errorf("missing energy: got %+v", cpu.Energy)
	}
	if n.Epochs.Mean == nil || *n.Epochs.Mean != 2 || n.RecipeEpochs != 200 {
		t.Errorf("3256 steps of 1628 an epoch: got %+v of %d, want 2 of 200", n.Epochs, n.RecipeEpochs)
	}
	if len(r.Unfinished) != 1 || r.Unfinished[0].Status != store.Failed {
		t.Errorf("unfinished: got %+v", r.Unfinished)
	}
}

// A seed whose deployment failed still has its paper-style figure.
func TestFiguresOfOtherSeedsSayHowMany(t *testing.T) {
	t.Parallel()
	mean := 1.5
	n := &Network{Seeds: []uint64{1}}
	for want, f := range map[string]Figure{
		"1.50":              {N: 1, Mean: &mean},
		"1.50 ± 1.50 (n=2)": {N: 2, Mean: &mean, Std: &mean},
		"n/a":               {Missing: "not measured"},
	} {
		if got := n.figure(f, 1, fixed(2)); got.Text != want {
			t.Errorf("%+v in a row of one seed is written %q, want %q", f, got.Text, want)
		}
	}
}

// An experiment that two programs contributed to says so, and how far each came.
func TestEverySittingIsListed(t *testing.T) {
	t.Parallel()
	p := provenance.Experiment{Data: "warpeace", Sittings: []provenance.Sitting{
		{Machine: sample.StampedBy("old"), From: 0, To: 8}, {Machine: sample.StampedBy("new"), From: 8, To: 20}, {Machine: sample.StampedBy("old"), From: 20, To: 21},
	}}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := r.addProvenance(store.Experiment{ID: "a", Seed: 1, Steps: 21, Provenance: text}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, group := range r.Provenance {
		for _, s := range group.Sittings {
			got = append(got, fmt.Sprintf("%s: %d of %s, %d to %d", group.Commit, group.Experiments, s.Experiment, s.From, s.To))
		}
	}
	want := []string{"old: 1 of a, 0 to 8", "old: 1 of a, 20 to 21", "new: 1 of a, 8 to 20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sittings (-want +got):\n%s", diff)
	}
}

// A cost is stored of a whole sequence and shown of a time step.
func TestCostsAreShownOfATimeStep(t *testing.T) {
	t.Parallel()
	cost := &store.Cost{Seconds: new(2.0), Energy: []store.Part{{Name: "all", Value: 1}}, Steps: map[string]int{"text": 3, "question": 1}}
	var m machine
	m.add(1, store.Deployment{Cost: cost})
	if diff := cmp.Diff([][]float64{{0.5}, {0.25}}, [][]float64{m.seconds, m.energy}); diff != "" {
		t.Errorf("seconds and energy of 4 steps (-want +got):\n%s", diff)
	}
	cost.Steps, m = nil, machine{}
	m.add(1, store.Deployment{Cost: cost})
	if m.seconds != nil || m.energy != nil || m.noTime == "" || m.noEnergy != m.noTime {
		t.Errorf("without steps: %v s for the reason %q, %v J for the reason %q; want reasons alone", m.seconds, m.noTime, m.energy, m.noEnergy)
	}
}
