package experiment

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"bittern/harness/checkpoint"
	"bittern/harness/dataset"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/arena"
	nullplugins "bittern/internal/null"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
)

// hooked is the null model with an evaluation and a gradient of the test's.
type hooked struct {
	model.Model
	evaluate func(model.Evaluate) error
	build    model.Build
}

func (h *hooked) Build(ctx context.Context, request model.Build) error {
	h.build = request
	return h.Model.Build(ctx, request)
}

func (h *hooked) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	result, err := h.Model.Step(ctx, request)
	h.build.Parameters["recurrent"].Grad[0] = 8
	return result, err
}

func (h *hooked) Update(context.Context, model.Update) (model.UpdateResult, error) {
	square := 0.0
	for _, p := range h.build.Parameters {
		for _, g := range p.Grad {
			square += float64(g) * float64(g)
		}
	}
	return model.UpdateResult{GradNorm: math.Sqrt(square)}, nil
}

func (h *hooked) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	if err := h.evaluate(request); err != nil {
		return network.Score{}, err
	}
	return h.Model.Evaluate(ctx, request)
}

// halving is the null quantizer, but passes on half of a gradient.
type halving struct {
	quantizer.Quantizer
	weights []quantizer.Weight
}

func (h *halving) Backward(context.Context, quantizer.Backward) error {
	for _, w := range h.weights {
		for i := range w.Grad {
			w.Grad[i] /= 2
		}
	}
	return nil
}

// hookedTrainer is a trainer of four steps on a session in this process.
func hookedTrainer(t *testing.T, evaluate func(model.Evaluate) error) *trainer {
	t.Helper()
	text, err := dataset.Load(t.Context(), dataset.Request{Name: "grammar", MaxBytes: 1 << 11})
	if err != nil {
		t.Fatal(err)
	}
	language, err := task.NewLanguageModel(text, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	q := &halving{Quantizer: nullplugins.NewQuantizer()}
	s := &session{
		spec: &Spec{Task: suite.Task{Training: suite.Training{Optimiser: model.Adam, Epochs: 1, Steps: 4}}, Threads: 1},
		task: language, arena: shared, model: &hooked{Model: nullplugins.NewModel(), evaluate: evaluate}, quantizer: q,
	}
	s.spec.Model.Options = map[string]string{"units": "3"}
	s.spec.Quantizer.Description.Traits = []string{quantizer.TraitBackward}
	if err := s.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.weights = s.tensors.weights
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	saver, metrics := kept(t, "hooked")
	return begun(t, s, saver, metrics)
}

// An interrupt during validation is saved for and is the outcome; a fault of that
// very validation is told in its place, and nothing is saved as if it had not been.
func TestAFailedValidationIsToldInAnInterrupt(t *testing.T) {
	t.Parallel()
	interrupt, fault := errors.New("interrupted"), errors.New("the evaluation failed")
	for _, test := range []struct {
		name          string
		fails         error
		want, savedAs error
	}{
		{"interrupted", nil, interrupt, nil},
		{"interrupted and failed", fault, fault, checkpoint.ErrNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			trainer := hookedTrainer(t, func(model.Evaluate) error { cancel(interrupt); return test.fails })
			if err := trainer.run(ctx); !errors.Is(err, test.want) {
				t.Errorf("run = %v, want %v", err, test.want)
			}
			if _, err := trainer.saves.saver.load(t.Context(), storage.Last, nil); errors.Is(err, checkpoint.ErrNone) != (test.savedAs != nil) {
				t.Errorf("the last checkpoint: %v, want %v", err, test.savedAs)
			}
		})
	}
}

// The gradient of 8 that the model leaves is halved by the quantizer, and what is
// left is what clipping sees and the record says.
func TestTheRecordedGradientNormIsTheClippedOne(t *testing.T) {
	t.Parallel()
	trainer := hookedTrainer(t, func(model.Evaluate) error { return nil })
	if err := trainer.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps, err := store.ReadSteps(filepath.Dir(trainer.saves.saver.Where(storage.Last, trainer.saves.saver.id)))
	if err != nil || len(steps) != 4 {
		t.Fatalf("%d steps recorded, %v; want 4", len(steps), err)
	}
	for _, step := range steps {
		if step.GradNorm != 4 {
			t.Errorf("step %d: gradient norm %v, want 4", step.Step, step.GradNorm)
		}
	}
}
