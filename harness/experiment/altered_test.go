package experiment_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/network"
)

// altered is a task with other batches.
type altered struct {
	task.Task
	carried bool
	fill    func(i int, b network.Batch)
	group   func(i int) string
}

func (a altered) Shape() network.Shape {
	s := a.Task.Shape()
	s.Carried = a.carried
	return s
}

func (a altered) Training(seed uint64, epoch int) task.Batches {
	return alteredBatches{a.Task.Training(seed, epoch), a}
}

func (a altered) Evaluation(part task.Part) task.Batches {
	return alteredBatches{a.Task.Evaluation(part), a}
}

type alteredBatches struct {
	task.Batches
	task altered
}

func (a alteredBatches) Fill(i int, b network.Batch) error {
	err := a.Batches.Fill(i, b)
	a.task.fill(i, b)
	return err
}

func (a alteredBatches) Group(i int) string {
	if a.task.group == nil {
		return ""
	}
	return a.task.group(i)
}

// carriedSpec is the experiment of spec with sequences that go on from batch to batch,
// some of them, and a rate that is divided; it is so high that validation gets worse.
func carriedSpec(tb testing.TB) *experiment.Spec {
	tb.Helper()
	s := spec(tb)
	s.Task.Task = "carried"
	s.Loaded.Task = altered{Task: s.Loaded.Task, carried: true, fill: func(i int, b network.Batch) {
		for sequence := range b.Fresh {
			b.Fresh[sequence] = 0
			if i == 0 || (i+sequence)%4 == 0 {
				b.Fresh[sequence] = 1
			}
		}
	}}
	t := &s.Task.Training
	t.LearningRate, t.FinalLearningRate, t.Decay, t.DecayOnRise = 0.8, 0.02, suite.Constant, 3
	t.ValidateEvery, t.Epochs = 4, 4
	return s
}

// What training carries over goes on after an interrupt in the middle of an epoch.
func TestCarriedStateGoesOnAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	undisturbed, s := newWorkplace(t, t.TempDir()), carriedSpec(t)
	undisturbed.run(t, s)
	w := newWorkplace(t, t.TempDir())
	interrupt := errors.New("interrupted by the test")
	interrupted := map[int]bool{} // batches of an epoch after which training was interrupted
	for sitting := 0; ; sitting++ {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := 0
		_, err := w.runner.Run(ctx, s, func(p experiment.Progress) {
			if p.Stage == experiment.Training {
				if done++; done == 3 {
					interrupted[p.Step%7] = true
					cancel(interrupt)
				}
			}
		})
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, interrupt) || sitting > 28 {
			t.Fatalf("sitting %d: %v, want the interrupt", sitting, err)
		}
	}
	if len(interrupted) < 5 {
		t.Errorf("interrupted after the batches %v of an epoch, want most of the 7", interrupted)
	}
	same(t, undisturbed.numbers(t, s), w.numbers(t, s))
}

// A deployed network carries state as the model does: each sequence of the test part
// goes on where the batch says so.
func TestADeployedNetworkCarriesState(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), carriedSpec(t)
	w.run(t, s)
	row := w.row(t, s)
	oracle := w.deployments(t, s)[1]
	if oracle.Metric == nil || math.Abs(*oracle.Metric-*row.FrozenModel) > 1e-6 || oracle.Doubt != "" {
		t.Errorf("the oracle scores %v (%s), want the model's own %v", oracle.Metric, oracle.Doubt, *row.FrozenModel)
	}
}

// The rate is divided by 3 after each validation that is no better than the best
// before it, down to the final rate.
func TestTheRateIsDividedWhenValidationDoesNotImprove(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), carriedSpec(t)
	w.run(t, s)
	folder := w.store.ExperimentDir(w.row(t, s).ID)
	validations, err := store.ReadValidations(folder)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := store.ReadSteps(folder)
	if err != nil || len(steps) != 28 {
		t.Fatalf("%d steps, %v; want 28", len(steps), err)
	}
	rate, best, improved, worse := 0.8, math.Inf(1), 0, 0
	for _, step := range steps {
		if at := slices.IndexFunc(validations, func(v store.Validation) bool { return v.Step == step.Step }); at >= 0 {
			if v := validations[at].Deployable; v < best {
				best = v
				improved++
			} else {
				rate = max(rate/3, 0.02)
				worse++
			}
		}
		if math.Abs(step.LearningRate-rate) > 1e-12 {
			t.Errorf("step %d has the rate %v, want %v: %+v", step.Step, step.LearningRate, rate, validations)
		}
	}
	if improved < 2 || worse < 2 {
		t.Errorf("%d validations improve and %d do not, so that this test tells little: %+v", improved, worse, validations)
	}
}

// Targets of −1 count nowhere, and the parts of a score are stored with it.
func TestGroupsAndTargetsThatDoNotCount(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Task.Options = plugins.Values{"bytes": "6000", "batch": "7", "length": "23"} // for a test part of several batches
	loaded, err := new(task.Loader).Load(t.Context(), task.Request{Task: "characters", Data: "grammar", Options: s.Task.Options})
	if err != nil {
		t.Fatal(err)
	}
	s.Loaded = loaded
	s.Task.Training.Epochs = 1
	parts := altered{
		Task:  s.Loaded.Task,
		group: func(i int) string { return fmt.Sprint("part ", i%2) },
		fill: func(_ int, b network.Batch) {
			for i := range b.Targets {
				if i%3 == 0 {
					b.Targets[i] = -1
				}
			}
		},
	}
	s.Loaded.Task = parts
	w.run(t, s)

	want := map[string]int{}
	batch, test := parts.Shape().Allocate(), parts.Evaluation(task.Test)
	for i := range test.Len() {
		if err := test.Fill(i, batch); err != nil {
			t.Fatal(err)
		}
		for _, y := range batch.Targets {
			if y >= 0 {
				want[test.Group(i)]++
			}
		}
	}
	if len(want) != 2 {
		t.Fatalf("the test part has the groups %v, want two", want)
	}
	row := w.row(t, s)
	oracle := w.deployments(t, s)[1]
	for name, figure := range map[string]struct {
		score  *float64
		groups []store.GroupScore
	}{
		"paper-style": {row.PaperStyle, row.PaperStyleGroups},
		"frozen":      {row.FrozenModel, row.FrozenModelGroups},
		"oracle":      {oracle.Metric, oracle.Groups},
	} {
		got, sum := map[string]int{}, 0.0
		for _, g := range figure.groups {
			got[g.Group] = g.Targets
			sum += g.Score
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: targets by group (-want +got):\n%s", name, diff)
		}
		if figure.score == nil || math.Abs(*figure.score-sum/2) > 1e-12 || figure.groups[0].Score == figure.groups[1].Score {
			t.Errorf("%s: score %v of the parts %+v, want their mean", name, figure.score, figure.groups)
		}
	}
}

// A network that is exported for another task fails its experiment, and is the model's
// fault.
func TestANetworkThatDoesNotServeTheTaskFails(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Model = plugin(t, plugins.KindModel, "bigram", plugins.Values{"misfit": "true"})
	s.Task.Training.Epochs = 1
	failed, err := w.runner.Run(context.Background(), s, ignore)
	if err != nil {
		t.Fatalf("Run = %v, want the failure of a plugin to be none of the run", err)
	}
	if len(failed) != 1 || failed[0].Backend != "" || !strings.Contains(failed[0].Reason, "bigram") || !strings.Contains(failed[0].Reason, "gives out logits once a sequence") {
		t.Errorf("failed = %+v, want the training with the model and what its network gives out", failed)
	}
	if row := w.row(t, s); row.Status != store.Failed {
		t.Errorf("the experiment is %s, want failed", row.Status)
	}
}

// What the model says of its network is stored with the experiment.
func TestSettingsAreStored(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Task.Training.Epochs = 1
	w.run(t, s)
	want := []store.Setting{{Name: "cell", Value: "bigram"}, {Name: "normalization", Value: "none"}}
	if diff := cmp.Diff(want, w.row(t, s).Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
