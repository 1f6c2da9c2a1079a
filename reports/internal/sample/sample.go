// Package sample makes run stores for the tests of reports.
package sample

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"bittern/harness/provenance"
	"bittern/harness/store"
)

// StampedBy is a machine that runs the program of a commit.
func StampedBy(commit string) provenance.Machine {
	return provenance.Machine{
		Commit: commit, Go: "go1.26", OS: "linux", Arch: "amd64", CPU: "a CPU", Cores: 2,
		Overhead: &provenance.Overhead{Seconds: 0.00042, N: 100},
	}
}

// Golden is a run store with two seeds of a published experiment and of its
// full precision, one seed of an experiment without one, and a failed experiment.
func Golden(t *testing.T) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	stamp, err := json.Marshal(provenance.Experiment{
		Data: "warpeace", SHA256: "fb66",
		Sittings: []provenance.Sitting{
			{Machine: StampedBy("0123456789"), Threads: 2, From: 0, To: 1000},
			{Machine: StampedBy("0123456789"), Threads: 2, From: 1000, To: 3256},
		},
		StepsPerEpoch: 1628,
	})
	if err != nil {
		t.Fatal(err)
	}
	number := func(f float64) *float64 { return &f }
	var experiments []store.Experiment
	add := func(quantizer, normalization string, seed uint64, status store.Status, paper float64) store.Experiment {
		config := fmt.Sprintf(`{"task":"characters","data":"warpeace","seed":%d,"training":{"epochs":200},"model":{"name":"lstm","options":{"normalization":%q}},"quantizer":{"name":%q}}`,
			seed, normalization, quantizer)
		id, canonical, err := store.ID(json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		c := store.Experiment{ID: id, Config: canonical, Task: "warpeace", Model: "lstm-512", Quantizer: quantizer, Seed: seed,
			Status: status, Steps: 3256, Metric: "BPC", PaperStyle: number(paper), RecurrentBytes: 153344, DeployedBytes: 4000000, Provenance: stamp,
			Settings:             []store.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "512"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: normalization}},
			CalibrationSequences: 6400, FrozenModel: number(1.79 + float64(seed-1)/100), Draws: []store.FreezeDraw{{Validation: 1.9, Test: 1.79, Deployed: true, BitsPerWeight: 1}}}
		if quantizer == "none" {
			c.RecurrentBytes, c.DeployedBytes, c.Draws[0].BitsPerWeight = 32*153344, 8000000, 32
		}
		if quantizer == "stochastic-binary" {
			c.Draws = append(c.Draws, store.FreezeDraw{Draw: 1, Validation: 1.92, Test: 1.78 + float64(seed)/100})
		}
		experiments = append(experiments, c)
		return c
	}
	deployed, err := json.Marshal(provenance.Deployment{Machine: StampedBy("89abcdef01"), Backend: "cpu 1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	done := []store.Experiment{
		add("stochastic-binary", "batch-cell", 1, store.Done, 1.80),
		add("stochastic-binary", "batch-cell", 2, store.Done, 1.82),
		add("binaryconnect", "batch", 1, store.Done, 1.75),
		add("none", "batch-cell", 1, store.Done, 1.60),
		add("none", "batch-cell", 2, store.Done, 1.61),
	}
	done[3].FrozenModel, done[4].FrozenModel = number(1.60), number(1.61)
	failed := add("none", "none", 1, store.Failed, 0)
	failed.Reason, failed.PaperStyle = "the model diverged in step 7", nil
	if err := s.PutSuite(ctx, "golden", experiments, []string{"asic", "cpu"}); err != nil {
		t.Fatal(err)
	}
	parts := []store.GroupScore{{Group: "war", Score: 1.7, Targets: 30}, {Group: "peace", Score: 1.9, Targets: 20}}
	done[0].PaperStyleGroups, done[0].FrozenModelGroups = parts, parts[:1]
	for i, c := range append(done, failed) {
		if err := s.PutExperiment(ctx, c); err != nil {
			t.Fatal(err)
		}
		if c.Status != store.Done {
			continue
		}
		for _, d := range []store.Deployment{
			{Experiment: c.ID, Backend: "asic", Status: store.Done, Metric: number(1.79 + float64(i)/100), Groups: parts, Cost: &store.Cost{
				Steps:   map[string]int{"text": 60, "question": 40},
				Seconds: number(26.2e-4), Energy: []store.Part{{Name: "weights", Value: 6e-5}, {Name: "rest", Value: 3.7e-5}},
				Memory: []store.Part{{Name: "codes", Value: 153344}, {Name: "tables", Value: 2000000}}, Notes: []string{"power | area recalled,\nnot verified"}}},
			{Experiment: c.ID, Backend: "cpu", Status: store.Done, Metric: number(1.78), Provenance: deployed, Cost: &store.Cost{
				Steps:   map[string]int{"text": 100},
				Seconds: number(4.2e-4), SecondsLow: number(4.1e-4), SecondsHigh: number(4.3e-4), Measured: true, N: 50,
				Missing: map[string]string{"energy": "no power meter is read"}}},
		} {
			if c.Quantizer == "binaryconnect" && d.Backend == "cpu" {
				d.Doubt = "cpu computes a loss of 1.3 nats a target and the model 1.2"
				d.Cost.SecondsHigh = number(4.7e-4)
				d.Cost.Substitutions = []store.Substitution{{Weight: "layer0.Wx", From: "16 levels, 4 bits", To: "float32", Reason: "a look-up keeps three levels at most"}}
			}
			if err := s.PutDeployment(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// Trained is an experiment of the quantizer coin, done. Config is what it has beside
// its seed, without the braces.
func Trained(t *testing.T, seed, steps uint64, config string) store.Experiment {
	t.Helper()
	id, canonical, err := store.ID(json.RawMessage(fmt.Sprintf(`{"seed":%d,%s}`, seed, config)))
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := json.Marshal(provenance.Experiment{Data: "grammar", Sittings: []provenance.Sitting{
		{Machine: StampedBy("old"), To: 1}, {Machine: StampedBy("new"), From: 1, To: steps},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Experiment{
		ID: id, Config: canonical, Task: "grammar", Model: "bigram", Quantizer: "coin", Seed: seed, Status: store.Done,
		Steps: steps, Metric: "BPC", FrozenModel: new(2.5), DeployedBytes: 1000, Provenance: stamp,
	}
}

// Stored is a store with the suite "suite": each experiment on the backends of its own list.
func Stored(t *testing.T, experiments ...store.Experiment) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range slices.Backward(experiments) { // what is put last comes first
		if err := s.PutSuite(t.Context(), "suite", []store.Experiment{c}, c.Backends); err != nil {
			t.Fatal(err)
		}
		if err := s.PutExperiment(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Deploy stores a deployment that is done.
func Deploy(t *testing.T, s *store.Store, d store.Deployment) {
	t.Helper()
	d.Status = store.Done
	if err := s.PutDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}
