package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/suite"
)

// What times itself is not the workers', and seeds take equally long.
func TestPlannedWork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(`{"suite": "s", "experiments": [
		{"task": "a", "model": "m", "quantizer": "q", "training_seconds": 10, "scoring_seconds": 2, "deploying_seconds": 5, "timed_deploying_seconds": 4},
		{"task": "b", "model": "m", "quantizer": "q", "training_seconds": 11}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := func(task string, seed uint64) *experiment.Spec {
		return &experiment.Spec{Task: suite.Task{Label: task}, Model: experiment.Plugin{Label: "m"}, Quantizer: experiment.Plugin{Label: "q"}, Seed: seed}
	}
	specs := []*experiment.Spec{spec("a", 1), spec("b", 1), spec("a", 2)}
	got, err := plannedWork(path, specs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{specs[0].String(): 13, specs[1].String(): 11, specs[2].String(): 13}, got); diff != "" {
		t.Errorf("the times of a plan (-want +got):\n%s", diff)
	}
}
