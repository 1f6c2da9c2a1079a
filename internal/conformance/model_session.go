package conformance

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"bittern/internal/arena"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// modelSession is a model that was built on tensors of the check.
type modelSession struct {
	model.Model
	plugins *pool[model.Model]
	options plugins.Values
	plan    model.Plan
	build   model.Build
}

// firstSeed is the seed of every session but one.
const firstSeed = 42

// buildModel builds the plugin of this number with Adam. That ends the plugin's session before.
func buildModel(r *recorder, all *pool[model.Model], number int, options plugins.Values, shape network.Shape) *modelSession {
	return buildModelWith(r, all, number, options, shape, firstSeed, model.Adam, model.Float32)
}

// buildModelWith builds a model with this seed, optimiser, arithmetic, and parameters beyond its plan. Their
// values are 7, and Build must not change them. If the model does not serve the shape, the check
// ends.
func buildModelWith(r *recorder, all *pool[model.Model], number int, options plugins.Values, shape network.Shape, seed uint64, optimiser model.Optimiser, arithmetic model.Arithmetic, beyond ...model.Parameter) *modelSession {
	o := all.open(r, number)
	ctx, shared := r.ctx, o.shared
	s := &modelSession{Model: o.plugin, plugins: all, options: options}
	var err error
	s.plan, err = s.Plan(ctx, options, shape)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		r.refuse(problem.Sentence)
	}
	r.must("Plan", err)
	batch, err := shape.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return arena.Make[int32](shared, dims...) },
		func(_ string, dims []int) ([]float32, error) { return arena.Make[float32](shared, dims...) })
	r.must("allocate a batch", err)
	s.build = model.Build{
		Options: options, Shape: shape, Seed: seed, Threads: 2, Optimiser: optimiser, Arithmetic: arithmetic,
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
			*tensor = allocate[float32](r, shared, p.Shape...)
		}
		s.build.Parameters[p.Name] = tensors
	}
	for _, b := range s.plan.Buffers {
		s.build.Buffers[b.Name] = allocate[float32](r, shared, b.Shape...)
	}
	for _, p := range beyond {
		for i := range s.build.Parameters[p.Name].Value {
			s.build.Parameters[p.Name].Value[i] = 7
		}
	}
	r.must("Build", s.Build(ctx, s.build))
	for _, p := range s.build.Parameters {
		copy(p.Quantized, p.Value)
	}
	s.fill(randomBatch(shape, 0))
	return s
}

// fresh returns a session of another plugin, whose session before ends.
func (s *modelSession) fresh(r *recorder, shape network.Shape) *modelSession {
	return buildModel(r, s.plugins, 1, s.options, shape)
}

// randomBatch returns a batch with random content, a target wherever one can be, and sequences
// of several lengths that all start fresh.
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

// fill copies a batch into that of the model.
func (s *modelSession) fill(b network.Batch) { copyBatch(s.build.Batch, b) }

func (s *modelSession) step(r *recorder) model.StepResult {
	result, err := s.Step(r.ctx, model.Step{Number: 3})
	r.must("Step", err)
	return result
}

func (s *modelSession) update(r *recorder, request model.Update) model.UpdateResult {
	result, err := s.Update(r.ctx, request)
	if err != nil {
		r.must(fmt.Sprintf("Update(%+v)", request), err)
	}
	return result
}

func (s *modelSession) evaluate(r *recorder, request model.Evaluate) network.Score {
	score, err := s.Evaluate(r.ctx, request)
	if err != nil {
		r.must(fmt.Sprintf("Evaluate(%+v)", request), err)
	}
	return score
}

// calibrate runs a batch, so that there are frozen statistics.
func (s *modelSession) calibrate(r *recorder) {
	s.evaluate(r, model.Evaluate{Statistics: model.Calibrate, First: true})
	s.evaluate(r, model.Evaluate{Statistics: model.Calibrate})
}

// copied returns copies of the tensors that pick chooses, by the name of the parameter.
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

func sameTensors(r *recorder, what string, got, want map[string][]float32) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if i := difference(got[name], want[name]); i >= 0 {
			r.saw("%s: element %d of %s = %v", what, i, name, got[name][i]).want("%v", want[name][i])
		}
	}
}

// buffers returns copies of everything that a step may change besides gradients.
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
