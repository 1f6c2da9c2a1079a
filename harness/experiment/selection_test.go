package experiment_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
)

// lowest is the step of the lowest score.
func lowest(validations []store.Validation, score func(store.Validation) float64) uint64 {
	return slices.MinFunc(validations, func(a, b store.Validation) int {
		if score(a) < score(b) {
			return -1
		}
		return 1
	}).Step
}

// The network that is kept is the one whose deployable form validates best. In
// some of these runs the paper-style score would have kept another.
func TestTheDeployableScoreSelects(t *testing.T) {
	t.Parallel()
	w := newWorkplace(t, t.TempDir())
	differ := 0
	for seed := range uint64(8) {
		s := spec(t)
		s.Seed, s.Backends, s.Freeze.Draws = seed, nil, 1
		s.Task.Training.PaperStyleValidation = true
		w.run(t, s)
		row := w.row(t, s)
		validations, err := store.ReadValidations(w.store.ExperimentDir(row.ID))
		if err != nil || len(validations) != 5 {
			t.Fatalf("seed %d: %d validations, %v, want 5", seed, len(validations), err)
		}
		best := lowest(validations, func(v store.Validation) float64 { return v.Deployable })
		if row.BestStep != best {
			t.Errorf("seed %d: the best network is of step %d, want %d, the lowest deployable score of %+v", seed, row.BestStep, best, validations)
		}
		at := slices.IndexFunc(validations, func(v store.Validation) bool { return v.Step == best })
		if *row.BestValidation != validations[at].Deployable {
			t.Errorf("seed %d: best validation %v, want %v", seed, *row.BestValidation, validations[at].Deployable)
		}
		if lowest(validations, func(v store.Validation) float64 { return *v.PaperStyle }) != best {
			differ++
		}
	}
	if differ == 0 {
		t.Error("both scores would select the same step in every run, so this test cannot tell them apart")
	}
}

func TestTheDrawThatValidatesBestIsDeployed(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	row := w.row(t, s)
	if len(row.Draws) != 3 {
		t.Fatalf("%d draws, want 3: %+v", len(row.Draws), row.Draws)
	}
	best := slices.MinFunc(row.Draws, func(a, b store.FreezeDraw) int {
		if a.Validation < b.Validation {
			return -1
		}
		return 1
	})
	for i, d := range row.Draws {
		if d.Draw != i || d.Deployed != (d == best) {
			t.Errorf("draw %d is %+v; want draw %d deployed alone, which validates best", i, d, best.Draw)
		}
		if i > 0 && d.Test == row.Draws[0].Test {
			t.Errorf("draws 0 and %d score the same on the test part, %v: nothing was drawn anew", i, d.Test)
		}
	}
	if *row.FrozenModel != best.Test {
		t.Errorf("frozen BPC %v, want that of draw %d, %v", *row.FrozenModel, best.Draw, best.Test)
	}
	for _, d := range w.deployments(t, s) {
		if d.Backend == "oracle" && math.Abs(*d.Metric-best.Test) > 1e-6 {
			t.Errorf("the oracle scores %v, want what draw %d scores in the model, %v", *d.Metric, best.Draw, best.Test)
		}
	}
	if want := 4 * s.Loaded.Task.Shape().Sequences; row.CalibrationSequences != want {
		t.Errorf("%d sequences calibrated, want %d: 4 batches of %d", row.CalibrationSequences, want, s.Loaded.Task.Shape().Sequences)
	}
}

func TestADeterministicQuantizerDrawsOnce(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Quantizer = plugin(t, plugins.KindQuantizer, "coin", plugins.Values{"fixed": "true"})
	w.run(t, s)
	if draws := w.row(t, s).Draws; len(draws) != 1 || !draws[0].Deployed {
		t.Errorf("draws %+v, want one, deployed", draws)
	}
}

func TestAnotherFreezeTakesNoTraining(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	before := w.row(t, s)

	again := *s
	again.Freeze = suite.Freeze{Draws: 6, CalibrationBatches: 4}
	if _, err := w.runner.Run(context.Background(), &again, func(p experiment.Progress) {
		if p.Stage == experiment.Training {
			t.Error("the network was trained again")
		}
	}); err != nil {
		t.Fatal(err)
	}
	after := w.row(t, &again)
	if len(after.Draws) != 6 {
		t.Fatalf("%d draws, want 6", len(after.Draws))
	}
	clean := func(draws []store.FreezeDraw) []store.FreezeDraw {
		draws = slices.Clone(draws)
		for i := range draws {
			draws[i].Deployed = false
		}
		return draws
	}
	if diff := cmp.Diff(clean(before.Draws), clean(after.Draws[:3])); diff != "" {
		t.Errorf("the first three draws are others than before (-before +after):\n%s", diff)
	}
	if after.BestStep != before.BestStep || !after.StartedAt.Equal(before.StartedAt) || *after.PaperStyle != *before.PaperStyle {
		t.Errorf("after another freeze the training is %+v, before %+v", after, before)
	}
	if list := w.deployments(t, &again); len(list) != 2 || math.Abs(*list[1].Metric-*after.FrozenModel) > 1e-6 {
		t.Errorf("deployments %+v, want both made again, of a network that scores %v", list, *after.FrozenModel)
	}
}

// What is reused is told, and where an earlier result cannot be, why not.
func TestWhatIsReusedIsTold(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	if len(w.log) > 0 {
		t.Errorf("said of a first run: %q", w.log)
	}
	row, err := s.Row()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.PutSuite(t.Context(), "suite", []store.Experiment{row}, nil); err != nil {
		t.Fatal(err)
	}
	w.run(t, s)
	if got := strings.Join(w.log, "\n"); !strings.Contains(got, "reusing the network that was trained on") {
		t.Errorf("said of a second run: %q", got)
	}
	w.log = nil
	s.Task.Training.LearningRate, s.Quantizer.Description.Version = 0.04, "9.9.9"
	w.run(t, s)
	got := strings.Join(w.log, "\n")
	for _, want := range []string{"training anew", "quantizer.version 1.0.0, now 9.9.9", "training.learning_rate 0.05, now 0.04"} {
		if !strings.Contains(got, want) {
			t.Errorf("said of a run with another version and rate: %q, want %q in it", got, want)
		}
	}
}

// A network that is exported with an error scores otherwise on a machine than in the
// model that trained it. Where the machine claims to be exact, that is told.
func TestAWrongExportIsInDoubt(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	for _, d := range w.deployments(t, s) {
		if d.Doubt != "" {
			t.Errorf("%s is in doubt: %s", d.Backend, d.Doubt)
		}
	}
	s.Model = plugin(t, plugins.KindModel, "bigram", plugins.Values{"lie": "true"})
	w.run(t, s)
	doubts := 0
	for _, d := range w.deployments(t, s) {
		if d.Doubt != "" {
			doubts++
		}
		if d.Backend == "oracle" && (!strings.Contains(d.Doubt, "further apart than the 1e-06 that the machine claims") || d.Metric == nil) {
			t.Errorf("the oracle's doubt is %q and its metric %v, want both figures told", d.Doubt, d.Metric)
		}
	}
	if told := strings.Join(w.log, "\n"); doubts != 1 || !strings.Contains(told, "on oracle: oracle computes a loss of") {
		t.Errorf("%d deployments are in doubt, want the oracle's alone; told: %q", doubts, told)
	}
}
