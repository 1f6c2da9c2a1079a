package experiment_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/task"
)

// Twenty-one steps, validated five times over one pass of the validation part and three batches of
// calibration; then the paper-style score, and of three draws four batches of calibration and
// both parts. A budget of seven steps leaves a third of the training.
func TestWork(t *testing.T) {
	t.Parallel()
	s := spec(t)
	checker := experiment.Checker{Catalogue: catalogue, Runs: t.TempDir()}
	defer func() {
		if err := checker.Close(); err != nil {
			t.Error(err)
		}
	}()
	size := checker.Size(t.Context(), s)
	vocabulary := s.Loaded.Task.Shape().Classes
	if want := (experiment.Size{Weights: vocabulary * vocabulary, Statistics: true}); size != want {
		t.Fatalf("the size is %+v, want %+v", size, want)
	}
	batch := 7 * 23 * float64(size.Weights)
	valid, test := float64(s.Loaded.Task.Evaluation(task.Valid).Len()), float64(s.Loaded.Task.Evaluation(task.Test).Len())
	want := experiment.Work{
		Steps: 3 * 21 * batch, Validations: 5 * (valid + 3) * batch,
		Freeze: (test + 3*(4+valid+test)) * batch, Deployments: test * batch,
	}
	if diff := cmp.Diff(want, s.Work(size)); diff != "" {
		t.Errorf("work (-want +got):\n%s", diff)
	}
	s.Task.Training.Steps = 7
	s.Backends = nil
	if got := s.Work(size); got.Steps != 3*7*batch || got.Validations != 2*(valid+3)*batch || got.Deployments != 0 {
		t.Errorf("with seven steps and no backend: %+v", got)
	}
	if s.Quantizer.Name = "nobody"; checker.Size(t.Context(), s) != (experiment.Size{}) {
		t.Error("a quantizer that is not there gave a size")
	}
}
