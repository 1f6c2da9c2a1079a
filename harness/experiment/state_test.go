package experiment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/experiment"
	"bittern/harness/internal/testplugin"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/plugins/model"
)

// bestTensors are those saved with the best network of a finished experiment.
func (w *workplace) bestTensors(tb testing.TB, s *experiment.Spec) map[string][]float32 {
	tb.Helper()
	content := []byte(w.numbers(tb, s).Files["best"])
	list, err := checkpoint.ReadTensors(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		tb.Fatal(err)
	}
	tensors := map[string][]float32{}
	for _, t := range list {
		tensors[t.Name] = t.Float32
	}
	return tensors
}

// deployedLevel is the largest weight of the deployed matrix W.
func (w *workplace) deployedLevel(tb testing.TB, s *experiment.Spec) float32 {
	tb.Helper()
	row := w.row(tb, s)
	n, err := artifact.Read(filepath.Join(w.store.ExperimentDir(row.ID), "deployed"), row.Artifact)
	if err != nil {
		tb.Fatal(err)
	}
	level := float32(0)
	for _, v := range n.Weights["W"].Decode() {
		level = max(level, v)
	}
	return level
}

// A freeze sees what the quantizer read at the best step: its states, and the second
// moments where it asks for them. Both have moved on since.
func TestAFreezeUsesTheStateOfTheBestStep(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]func(map[string][]float32) float32{
		"coin": func(best map[string][]float32) float32 { return float32(math.Abs(float64(best["state/W/scale"][0]))) },
		"curved": func(best map[string][]float32) float32 {
			return testplugin.CurvedLevel(best["value/W"], best["moment2/W"])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorkplace(t, t.TempDir()), spec(t)
			s.Quantizer = plugin(t, plugins.KindQuantizer, name, nil)
			// A rate so high that validation soon gets worse.
			training := &s.Task.Training
			training.LearningRate, training.FinalLearningRate, training.Decay, training.ValidateEvery = 0.3, 0.3, suite.Constant, 2
			w.run(t, s)
			row := w.row(t, s)
			if row.BestStep >= row.Steps {
				t.Fatalf("the best step is %d of %d, so this test cannot tell it from the last", row.BestStep, row.Steps)
			}
			best := w.bestTensors(t, s)
			if _, kept := best["moment2/W"]; kept != (name == "curved") {
				t.Errorf("second moments saved with the best network: %t, want them of curved alone", kept)
			}
			if got, want := w.deployedLevel(t, s), level(best); got != want {
				t.Errorf("the deployed level is %v, want %v of the best step", got, want)
			}
			before := w.deployedLevel(t, s)
			again := *s // a freeze in a session that has trained nothing
			again.Freeze = suite.Freeze{Draws: 1, CalibrationBatches: 2}
			w.run(t, &again)
			if got := w.deployedLevel(t, &again); got != before {
				t.Errorf("frozen again, the deployed level is %v, want %v as before", got, before)
			}
		})
	}
}

// The quantizer's journal has one Initialise, however often training was interrupted, and
// each update's number and learning rate.
func TestInitialiseIsCalledOnceAndBackwardSeesTheUpdate(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Quantizer = plugin(t, plugins.KindQuantizer, "coin", plugins.Values{"journal": journal})
	interrupt := errors.New("interrupted by the test")
	for sitting := 0; ; sitting++ {
		ctx, cancel := context.WithCancelCause(context.Background())
		if sitting == 0 {
			cancel(interrupt) // before the first step, which saves the initialised states
		}
		_, err := w.runner.Run(ctx, s, func(p experiment.Progress) {
			if p.Stage == experiment.Training && p.Step%8 == 0 {
				cancel(interrupt)
			}
		})
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, interrupt) || sitting > 4 {
			t.Fatalf("sitting %d: %v, want the interrupt", sitting, err)
		}
	}
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := store.ReadSteps(w.store.ExperimentDir(w.row(t, s).ID))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("initialise\n")
	for i, step := range steps {
		// Moments restart at each epoch of 7 steps and after every 3 of its steps.
		fmt.Fprintf(&want, "update %d at the rate %v\n", i%7%3+1, step.LearningRate)
	}
	if got := string(content); got != want.String() {
		t.Errorf("the quantizer was called so:\n%swant:\n%s", got, want.String())
	}
}

// A quantizer that reads second moments is refused where the optimiser keeps none, before
// anything is trained.
func TestSecondMomentsNeedAdam(t *testing.T) {
	t.Parallel()
	const sentence = "quantizer curved needs Adam's second moments, and this experiment trains with sgd; set training optimiser: adam"
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	s.Quantizer = plugin(t, plugins.KindQuantizer, "curved", nil)
	checker := &experiment.Checker{Catalogue: catalogue, Runs: w.runs}
	closeAfter(t, checker)
	if err := checker.Check(t.Context(), s); err != nil {
		t.Errorf("Check with Adam = %v, want no error", err)
	}
	s.Task.Training.Optimiser = model.SGD
	wantProblem(t, checker.Check(t.Context(), s), sentence)
	_, err := w.runner.Run(t.Context(), s, func(p experiment.Progress) {
		if p.Stage == experiment.Training {
			t.Error("a step was trained")
		}
	})
	wantProblem(t, err, sentence)
	_, err = experiment.OpenTrial(t.Context(), catalogue, time.Minute, s, s.Loaded.Task)
	wantProblem(t, err, sentence)
}

// With SGD a trained state has no moments, and training goes on to the same bytes.
func TestATrainedStateWithoutMomentsGoesOnToTheSameBytes(t *testing.T) {
	t.Parallel()
	s := spec(t)
	s.Task.Training.Optimiser, s.Task.Training.ClipNorm = model.SGD, 0.1
	undisturbed, w := newWorkplace(t, t.TempDir()), newWorkplace(t, t.TempDir())
	undisturbed.run(t, s)
	ctx, cancel := context.WithCancelCause(context.Background())
	interrupt := errors.New("interrupted by the test")
	if _, err := w.runner.Run(ctx, s, func(p experiment.Progress) {
		if p.Step == 10 {
			cancel(interrupt)
		}
	}); !errors.Is(err, interrupt) {
		t.Fatalf("Run = %v, want the interrupt", err)
	}
	w.run(t, s)
	same(t, undisturbed.numbers(t, s), w.numbers(t, s))
	if scale := undisturbed.bestTensors(t, s)["state/W/scale"]; len(scale) != 1 || scale[0] == 1 {
		t.Errorf("the trained scale is %v, want one that has moved from 1", scale)
	}
}
