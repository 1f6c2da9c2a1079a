package reports

import (
	"os"
	"path/filepath"
	"testing"

	"bittern/harness/store"
	"bittern/reports/internal/sample"
)

// TestTrainingIsSummarised checks that a long training keeps its means and its end, and
// that one that cannot be read says why.
func TestTrainingIsSummarised(t *testing.T) {
	t.Parallel()
	long, short, damaged := sample.Trained(t, 1, 3256, full), sample.Trained(t, 2, 3256, full), sample.Trained(t, 3, 3256, full)
	s := sample.Stored(t, long, short, damaged)
	record := func(id string, n int) {
		t.Helper()
		steps, err := store.OpenSteps(s.ExperimentDir(id), 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := steps.Append(store.Step{Step: uint64(i), Loss: float64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := steps.Close(); err != nil {
			t.Fatal(err)
		}
	}
	record(long.ID, 3*stretches-1)
	record(short.ID, 2)
	record(damaged.ID, 1)
	if err := os.WriteFile(filepath.Join(s.ExperimentDir(damaged.ID), "steps.jsonl"), []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := collect(t, s, Selection{})
	if r.Experiments[0].Training != nil {
		t.Errorf("Collect has read %d losses, want none", len(r.Experiments[0].Training))
	}
	r.ReadTraining()
	for _, e := range r.Experiments {
		switch e.ID {
		case long.ID:
			if n := len(e.Training); n != stretches || e.Training[0] != (TrainingLoss{3, 1}) || e.Training[n-1] != (TrainingLoss{3*stretches - 1, 3*stretches - 2.5}) {
				t.Errorf("%d losses %v, want %d means of three steps and one of two", n, e.Training, stretches)
			}
		case short.ID:
			if len(e.Training) != 2 || e.Training[1] != (TrainingLoss{2, 1}) {
				t.Errorf("losses %v, want both steps", e.Training)
			}
		case damaged.ID:
			if e.Training != nil || e.TrainingUnread == "" {
				t.Errorf("losses %v, unread %q; want the reason", e.Training, e.TrainingUnread)
			}
		}
	}
}
