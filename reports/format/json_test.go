package format_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports"
	"bittern/reports/internal/sample"
)

// readBack compares what JSON keeps: the values of what is JSON itself, and neither for
// which backends a suite asked, which are those of the deployments, nor where the store is.
var readBack = cmp.Options{
	cmp.Transformer("value", func(text json.RawMessage) (value any) {
		if len(text) == 0 {
			return nil
		}
		if err := json.Unmarshal(text, &value); err != nil {
			return err
		}
		return value
	}),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Backends" || p.Last().String() == ".Folder" }, cmp.Ignore()),
}

func TestJSONReadsBack(t *testing.T) {
	t.Parallel()
	r := golden(t)
	text := written(t, r, "json", reports.View{})
	var back reports.Report
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"paper_style_groups", "frozen_model_groups", "groups", "settings", "steps"} {
		if !strings.Contains(text, `"`+field+`": `) {
			t.Errorf("JSON has no %s", field)
		}
	}
	if diff := cmp.Diff(*r, back, readBack); diff != "" {
		t.Errorf("JSON does not read back as it was written (-want +got):\n%s", diff)
	}
}

// JSON has of each experiment its draws, its curve, every sitting, and of each
// deployment what it was computed with.
func TestJSONHasExperimentsWhole(t *testing.T) {
	t.Parallel()
	c := sample.Trained(t, 1, 20, `"training":{"epochs":8}`)
	c.Backends = []string{"cpu"}
	c.CalibrationSequences, c.Freeze = 640, json.RawMessage(`{"draws":2}`)
	c.Draws = []store.FreezeDraw{{Draw: 0, Validation: 2.1, Test: 2.25, Deployed: true}, {Draw: 1, Validation: 2.2, Test: 2.75}}
	s := sample.Stored(t, c)
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deployed, err := json.Marshal(provenance.Deployment{Machine: sample.StampedBy("third"), Backend: "cpu 1.0.0", Started: started, Ended: started.Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "cpu", Metric: new(2.0), Provenance: deployed, Cost: &store.Cost{
		Steps: map[string]int{"text": 10}, Seconds: new(4e-5), SecondsLow: new(3e-5), SecondsHigh: new(5e-5), Measured: true, N: 50}})
	metrics, err := store.OpenSteps(s.ExperimentDir(c.ID), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []store.Validation{{Step: 10, Deployable: 2.3}, {Step: 20, Deployable: 2.1, PaperStyle: new(2.2)}} {
		if err := metrics.AppendValidation(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := metrics.Close(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Experiments []struct {
			Draws                []store.FreezeDraw
			Drawn                reports.Figure
			CalibrationSequences int `json:"calibration_sequences"`
			Validations          []store.Validation
			Provenance           provenance.Experiment
			Deployments          []struct {
				Cost       store.Cost
				Provenance provenance.Deployment
			}
		}
	}
	if err := json.Unmarshal([]byte(written(t, collect(t, s, "suite"), "json", reports.View{})), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Experiments) != 1 || len(got.Experiments[0].Deployments) != 1 {
		t.Fatalf("got %+v, want one experiment with one deployment", got)
	}
	e := got.Experiments[0]
	if diff := cmp.Diff(c.Draws, e.Draws); diff != "" {
		t.Errorf("draws (-want +got):\n%s", diff)
	}
	if e.Drawn.N != 2 || *e.Drawn.Mean != 2.5 || e.Drawn.Std == nil || e.CalibrationSequences != 640 {
		t.Errorf("two draws: got %+v, calibrated on %d sequences, want a mean of 2.5, and 640", e.Drawn, e.CalibrationSequences)
	}
	if len(e.Validations) != 2 || e.Validations[1].Step != 20 || e.Validations[1].Deployable != 2.1 || *e.Validations[1].PaperStyle != 2.2 {
		t.Errorf("validations: got %+v, want both", e.Validations)
	}
	if s := e.Provenance.Sittings; len(s) != 2 || s[1].Commit != "new" || s[1].To != 20 {
		t.Errorf("sittings: got %+v, want both", s)
	}
	if d := e.Deployments[0]; d.Provenance.Commit != "third" || !d.Provenance.Started.Equal(started) || d.Cost.N != 50 || *d.Cost.SecondsHigh != 5e-5 {
		t.Errorf("deployment: got %+v, want its commit, its start, and the quartiles of n=50", d)
	}
}
