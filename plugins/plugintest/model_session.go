package plugintest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/checked"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// modelSession is a model that has been built on tensors of its own.
type modelSession struct {
	model.Model
	other   opened // another plugin for a session to compare this one with
	options plugins.Values
	plan    model.Plan
	build   model.Build
}

// opened is a model that can be built on tensors of the arena, one session after
// another.
type opened struct {
	model  model.Model
	shared *arena.Arena
}

func openModel(t *testing.T, open opener[model.Model]) opened {
	t.Helper()
	shared := newArena(t)
	m := open(t, shared)
	_, judge := describe(t, plugins.KindModel, m)
	return opened{checked.Model(m, judge), shared}
}

func (o opened) build(t *testing.T, options plugins.Values, shape network.Shape) *modelSession {
	t.Helper()
	return o.buildWith(t, options, shape, model.Adam)
}

// buildWith builds the model with an optimiser, and with parameters beyond its plan. What
// Build must leave alone, the values of those, is 7.
func (o opened) buildWith(t *testing.T, options plugins.Values, shape network.Shape, optimiser model.Optimiser, beyond ...model.Parameter) *modelSession {
	t.Helper()
	ctx, shared := t.Context(), o.shared
	s := &modelSession{Model: o.model, options: options}
	var err error
	if s.plan, err = s.Plan(ctx, options, shape); err != nil {
		t.Fatalf("Plan: %v", err)
	}
	batch, err := shape.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return arena.Make[int32](shared, dims...) },
		func(_ string, dims []int) ([]float32, error) { return arena.Make[float32](shared, dims...) })
	if err != nil {
		t.Fatal(err)
	}
	s.build = model.Build{
		Options: options, Shape: shape, Seed: 42, Threads: 2, Optimiser: optimiser,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{}, Batch: batch,
	}
	for _, p := range slices.Concat(s.plan.Parameters, beyond) {
		tensors := model.Tensors{}
		needed := []*[]float32{&tensors.Value, &tensors.Grad}
		if optimiser == model.Adam {
			needed = append(needed, &tensors.Moment1, &tensors.Moment2)
		}
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
	for _, p := range beyond {
		for i := range s.build.Parameters[p.Name].Value {
			s.build.Parameters[p.Name].Value[i] = 7
		}
	}
	if err := s.Build(ctx, s.build); err != nil {
		t.Fatalf("Build: %v", err)
	}
	for _, p := range s.build.Parameters {
		copy(p.Quantized, p.Value)
	}
	s.fill(randomBatch(shape, 0))
	return s
}

// randomBatch has random content, a target wherever there can be one, and
// sequences of several lengths that all start fresh.
func randomBatch(shape network.Shape, seed uint64) network.Batch {
	random := rand.New(rand.NewPCG(71, seed))
	b := shape.Allocate()
	for _, in := range shape.Inputs {
		values := b.Int32[in.Name]
		for i := range b.Float32[in.Name] {
			b.Float32[in.Name][i] = random.Float32()
		}
		for i := range values {
			switch in.Role {
			case network.Tokens:
				values[i] = random.Int32N(int32(in.Size))
			case network.Lengths:
				values[i] = int32(max(1, shape.Steps[in.Stream]-2*i))
			case network.Candidates:
				values[i] = int32((i%in.Size + i/in.Size) % 2)
			}
		}
	}
	for at := range b.Targets {
		for b.Targets[at] = random.Int32N(int32(shape.Classes)); ; b.Targets[at] = (b.Targets[at] + 1) % int32(shape.Classes) {
			if marks := b.Candidates(shape.Inputs, at%shape.Sequences); marks == nil || marks[b.Targets[at]] == 1 {
				break
			}
		}
	}
	for i := range b.Fresh {
		b.Fresh[i] = 1
	}
	return b
}

// fill writes the content of a batch to the model's own.
func (s *modelSession) fill(b network.Batch) { copyBatch(s.build.Batch, b) }

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

func (s *modelSession) evaluate(t *testing.T, request model.Evaluate) network.Score {
	t.Helper()
	score, err := s.Evaluate(t.Context(), request)
	if err != nil {
		t.Fatalf("Evaluate(%+v): %v", request, err)
	}
	return score
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
