package plugintest

import (
	"errors"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/checked"
	"bittern/plugins/model"
)

// modelSession is a model that has been built on tensors of its own.
type modelSession struct {
	model.Model
	open    opener[model.Model]
	options plugins.Values
	plan    model.Plan
	build   model.Build
}

func buildModel(t *testing.T, open opener[model.Model], options plugins.Values, task model.Task) *modelSession {
	t.Helper()
	ctx := t.Context()
	shared := newArena(t)
	m := open(t, shared)
	_, judge := describe(t, plugins.KindModel, m)
	s := &modelSession{Model: checked.Model(m, judge), open: open, options: options}
	var err error
	s.plan, err = s.Plan(ctx, options, task)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		t.Skipf("refuses the task: %s", problem)
	}
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	s.build = model.Build{
		Options: options, Task: task, Seed: 42, Threads: 2, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{},
		Inputs: allocateInputs(t, shared, task),
	}
	for _, p := range s.plan.Parameters {
		tensors := model.Tensors{}
		needed := []*[]float32{&tensors.Value, &tensors.Grad, &tensors.Moment1, &tensors.Moment2}
		if p.Quantize {
			needed = append(needed, &tensors.Quantized)
		}
		for _, tensor := range needed {
			*tensor = allocate[float32](t, shared, p.Shape...)
		}
		s.build.Parameters[p.Name] = tensors
	}
	for _, b := range s.plan.Buffers {
		s.build.Buffers[b.Name] = allocate[float32](t, shared, b.Shape...)
	}
	if err := s.Build(ctx, s.build); err != nil {
		t.Fatalf("Build: %v", err)
	}
	for _, p := range s.build.Parameters {
		copy(p.Quantized, p.Value)
	}
	return s
}

// allocateInputs makes a batch of random symbols or features.
func allocateInputs(t *testing.T, shared *arena.Arena, task model.Task) model.Inputs {
	t.Helper()
	random := randomness()
	if task.Kind == model.LanguageModel {
		inputs := allocate[int32](t, shared, task.Length, task.Batch)
		targets := allocate[int32](t, shared, task.Length, task.Batch)
		for i := range inputs {
			inputs[i], targets[i] = random.Int32N(int32(task.InputSize)), random.Int32N(int32(task.OutputSize))
		}
		return model.Inputs{Int32: map[string][]int32{"inputs": inputs, "targets": targets}}
	}
	inputs := allocate[float32](t, shared, task.Length, task.Batch, task.InputSize)
	for i := range inputs {
		inputs[i] = random.Float32()
	}
	targets := allocate[int32](t, shared, task.Batch)
	for i := range targets {
		targets[i] = random.Int32N(int32(task.OutputSize))
	}
	return model.Inputs{Int32: map[string][]int32{"targets": targets}, Float32: map[string][]float32{"inputs": inputs}}
}

func (s *modelSession) step(t *testing.T) model.StepResult {
	t.Helper()
	result, err := s.Step(t.Context(), model.Step{Number: 3})
	if err != nil {
		t.Fatalf("Step: %v", err)
	}
	return result
}

func (s *modelSession) update(t *testing.T, request model.Update) model.UpdateResult {
	t.Helper()
	result, err := s.Update(t.Context(), request)
	if err != nil {
		t.Fatalf("Update(%+v): %v", request, err)
	}
	return result
}

func (s *modelSession) evaluate(t *testing.T, request model.Evaluate) model.Evaluation {
	t.Helper()
	evaluation, err := s.Evaluate(t.Context(), request)
	if err != nil {
		t.Fatalf("Evaluate(%+v): %v", request, err)
	}
	return evaluation
}

// calibrate gives the frozen statistics something to hold.
func (s *modelSession) calibrate(t *testing.T) {
	t.Helper()
	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate, First: true})
	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate})
}

// copied returns copies of the tensors that pick chooses, by parameter.
func (s *modelSession) copied(pick func(model.Tensors) []float32) map[string][]float32 {
	copies := make(map[string][]float32)
	for name, tensors := range s.build.Parameters {
		copies[name] = slices.Clone(pick(tensors))
	}
	return copies
}

func value(t model.Tensors) []float32 { return t.Value }

func quantized(t model.Tensors) []float32 { return t.Quantized }

func grad(t model.Tensors) []float32 { return t.Grad }

func sameTensors(t *testing.T, what string, got, want map[string][]float32) {
	t.Helper()
	for name := range want {
		if i := difference(got[name], want[name]); i >= 0 {
			t.Errorf("%s: element %d of %s = %v, want %v", what, i, name, got[name][i], want[name][i])
		}
	}
}

// buffers copies what a step may change beside the gradients.
func (s *modelSession) buffers() map[string][]float32 {
	copies := make(map[string][]float32)
	for name, buffer := range s.build.Buffers {
		copies[name] = slices.Clone(buffer)
	}
	return copies
}

func (s *modelSession) restore(buffers map[string][]float32) {
	for name, buffer := range s.build.Buffers {
		copy(buffer, buffers[name])
	}
}
