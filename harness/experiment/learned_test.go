package experiment

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bittern/harness/dataset"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/arena"
	nullplugins "bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
)

// slope is the gradient of the state of stepping at a training step.
func slope(step uint64) float64 { return float64(step) - 2.5 }

// stepping is the null quantizer with a trained state of three elements, which starts as
// 2 and has the gradient slope in all of them, and an untrained one.
type stepping struct {
	quantizer.Quantizer
	weights  []quantizer.Weight
	requests []quantizer.Backward
}

func (q *stepping) Plan(_ context.Context, _ plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	return []quantizer.State{
		{Name: "scale", Weight: weights[0].Name, Shape: []int{3}, Trained: true},
		{Name: "count", Weight: weights[0].Name},
	}, nil
}

func (q *stepping) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return q.Quantizer.Open(ctx, options, weights)
}

func (q *stepping) Initialise(context.Context) error {
	for i := range q.weights[0].State["scale"].Value {
		q.weights[0].State["scale"].Value[i] = 2
	}
	return nil
}

func (q *stepping) Backward(_ context.Context, request quantizer.Backward) error {
	q.requests = append(q.requests, request)
	state := q.weights[0].State
	for i := range state["scale"].Grad {
		state["scale"].Grad[i] = float32(slope(request.Step))
	}
	state["count"].Value[0]++
	return nil
}

// kept is where an experiment of a new run store is kept.
func kept(t *testing.T, id string) (saver, storage.Metrics) {
	t.Helper()
	runs, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := storage.InFolder(runs)
	metrics, err := s.Journal.Metrics(t.Context(), id, 0)
	if err != nil {
		t.Fatal(errors.Join(err, runs.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(metrics.Close(), runs.Close()); err != nil {
			t.Error(err)
		}
	})
	return saver{Checkpoints: s.Checkpoints, id: id}, metrics
}

// begun is a trainer at the beginning.
func begun(t *testing.T, s *session, f saver, metrics storage.Metrics) *trainer {
	t.Helper()
	trainer, err := newTrainer(s, position{}, f, metrics, &Quiet{}, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return trainer
}

// steppingTrainer trains the null model with the quantizer stepping, in this process.
func steppingTrainer(t *testing.T, training suite.Training) (*trainer, *stepping) {
	t.Helper()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	q := &stepping{Quantizer: nullplugins.NewQuantizer()}
	s := &session{
		spec: &Spec{Task: suite.Task{Training: training}, Threads: 1},
		task: trivial(t), arena: shared, model: nullplugins.NewModel(), quantizer: q,
	}
	s.spec.Model.Options = map[string]string{"units": "3"}
	s.spec.Quantizer.Description.Traits = []string{quantizer.TraitBackward, quantizer.TraitInitialise}
	if err := errors.Join(s.build(t.Context()), s.initialise(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	saver, metrics := kept(t, "stepping")
	return begun(t, s, saver, metrics), q
}

// The optimiser moves a trained state as it moves a parameter: with the step's learning
// rate, clipped with all gradients, and with moments that restart where the others do.
func TestATrainedStateIsMovedByTheOptimiser(t *testing.T) {
	t.Parallel()
	const steps, rate, clip, every = 6, 0.1, 1.5, 4
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		t.Run(string(optimiser), func(t *testing.T) {
			t.Parallel()
			trainer, q := steppingTrainer(t, suite.Training{
				Optimiser: optimiser, LearningRate: rate, FinalLearningRate: rate, Decay: suite.Constant,
				Epochs: 1, ClipNorm: clip, ResetMomentsEvery: every,
			})
			batches := trainer.task.Training(0, 0)
			want, moment1, moment2, updates := 2.0, 0.0, 0.0, 0.0
			for step := range steps {
				if err := trainer.step(t.Context(), batches, 0); err != nil {
					t.Fatal(err)
				}
				if step%every == 0 {
					moment1, moment2, updates = 0, 0, 0
				}
				updates++
				g := slope(uint64(step))
				norm := math.Abs(g) * math.Sqrt(3)
				if norm > clip {
					g *= clip / norm
				}
				if optimiser == model.SGD {
					want -= rate * g
				} else {
					moment1 = 0.9*moment1 + 0.1*g
					moment2 = 0.999*moment2 + 0.001*g*g
					want -= rate * moment1 / (1 - math.Pow(0.9, updates)) / (math.Sqrt(moment2/(1-math.Pow(0.999, updates))) + 1e-8)
				}
				for i, got := range q.weights[0].State["scale"].Value {
					if math.Abs(float64(got)-want) > 1e-5 {
						t.Errorf("after step %d, element %d of the state = %v, want %v", step, i, got, want)
					}
				}
				if got := q.requests[step]; got != (quantizer.Backward{Draw: quantizer.Draw{Step: uint64(step)}, LearningRate: rate, Update: uint64(updates)}) {
					t.Errorf("Backward of step %d was given %+v, want the rate %v and update %v", step, got, rate, updates)
				}
			}
			if got := q.weights[0].State["count"].Value[0]; got != steps {
				t.Errorf("the state that is not trained = %v, want %d as the quantizer counted", got, steps)
			}
			recorded, err := store.ReadSteps(filepath.Dir(trainer.saves.saver.Where(storage.Last, trainer.saves.saver.id)))
			if err != nil || len(recorded) != steps {
				t.Fatalf("%d steps recorded, %v; want %d", len(recorded), err, steps)
			}
			for i, step := range recorded {
				if want := math.Abs(slope(uint64(i))) * math.Sqrt(3); math.Abs(step.GradNorm-want) > 1e-6 {
					t.Errorf("step %d: gradient norm %v, want %v, that of the state", i, step.GradNorm, want)
				}
			}
		})
	}
}

func TestResetMomentsIncludesStates(t *testing.T) {
	t.Parallel()
	trainer, _ := steppingTrainer(t, suite.Training{Optimiser: model.Adam})
	s := trainer.tensors.states[0]
	s.Moment1[2], s.Moment2[1] = 1, 1
	trainer.tensors.resetMoments()
	if slices.Max(s.Moment1) != 0 || slices.Max(s.Moment2) != 0 {
		t.Errorf("the moments of a state are %v and %v after a reset, want 0", s.Moment1, s.Moment2)
	}
}

// States whose names have slashes are kept apart in a checkpoint, by value and moments.
func TestStatesOfOddNamesAreSaved(t *testing.T) {
	t.Parallel()
	names := []string{"v", "v/x", "y", "x/y", "v%2Fx"}
	fresh := func() *tensors {
		shared, err := arena.Create("", 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := shared.Close(); err != nil {
				t.Error(err)
			}
		})
		spec := &Spec{Task: suite.Task{Training: suite.Training{Optimiser: model.Adam}}}
		var plan model.Plan
		var states []quantizer.State
		for _, weight := range names {
			plan.Parameters = append(plan.Parameters, model.Parameter{Name: weight, Shape: []int{1, 2}, Quantize: true})
			for _, name := range names {
				states = append(states, quantizer.State{Name: name, Weight: weight, Shape: []int{2}, Trained: true})
			}
		}
		tensors, err := allocate(shared, spec, plan, states, trivial(t).Shape())
		if err != nil {
			t.Fatal(err)
		}
		return tensors
	}
	before, after := fresh(), fresh()
	f, _ := kept(t, "odd")
	for i, s := range before.states {
		for j, values := range [][]float32{s.Value, s.Moment1, s.Moment2} {
			values[0], values[1] = float32(i), float32(j)
		}
	}
	if err := f.saveLast(t.Context(), position{Step: 7}, before, nil); err != nil {
		t.Fatal(err)
	}
	if at, err := f.loadLast(t.Context(), after); err != nil || at.Step != 7 {
		t.Fatalf("loadLast = %+v, %v", at, err)
	}
	for i, s := range after.states {
		for j, values := range [][]float32{s.Value, s.Moment1, s.Moment2} {
			if want := []float32{float32(i), float32(j)}; !slices.Equal(values, want) {
				t.Errorf("tensor %d of the state %q of %q = %v, want %v", j, s.Name, s.Weight, values, want)
			}
		}
	}
	if got, want := len(after.values()), len(names)+len(names)*len(names); got != want {
		t.Errorf("the model is given %d tensors to move, want %d", got, want)
	}
}

// trivial is a task of two sequences.
func trivial(t *testing.T) task.Task {
	t.Helper()
	text, err := dataset.Load(t.Context(), dataset.Request{Name: "grammar", MaxBytes: 1 << 11})
	if err != nil {
		t.Fatal(err)
	}
	language, err := task.NewLanguageModel(text, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	return language
}

// namesake is the null model with a parameter that is named as a state of stepping.
type namesake struct{ model.Model }

func (n namesake) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	plan, err := n.Model.Plan(ctx, options, shape)
	plan.Parameters = append(plan.Parameters, model.Parameter{Name: "recurrent/scale", Shape: []int{1}})
	return plan, err
}

func TestAStateNamedAsAParameterFails(t *testing.T) {
	t.Parallel()
	s := &session{
		spec: &Spec{Model: Plugin{Label: "namesake", Options: plugins.Values{"units": "3"}}, Quantizer: Plugin{Label: "stepping"}},
		task: trivial(t), model: namesake{nullplugins.NewModel()}, quantizer: &stepping{Quantizer: nullplugins.NewQuantizer()},
	}
	_, _, err := s.plan(t.Context())
	if f, ok := errors.AsType[*Failure](err); !ok || !strings.Contains(f.Reason, "namesake has a parameter named recurrent/scale") {
		t.Errorf("plan = %v, want a failure that names the parameter", err)
	}
}
