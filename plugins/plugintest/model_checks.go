package plugintest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/plugins/model"
)

func checkPlanRepeats(t *testing.T, s *modelSession) {
	again, err := s.Plan(t.Context(), s.options, s.build.Task)
	if err != nil {
		t.Fatalf("Plan again: %v", err)
	}
	if got, want := fmt.Sprint(again), fmt.Sprint(s.plan); got != want {
		t.Errorf("Plan again = %s, want %s", got, want)
	}
	if !slices.ContainsFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Quantize }) {
		t.Errorf("no parameter of %v is marked Quantize: a quantizer has nothing to do", s.plan.Parameters)
	}
}

func checkBuildRepeats(t *testing.T, s *modelSession) {
	for name, values := range s.copied(value) {
		if i := slices.IndexFunc(values, func(v float32) bool { return v != v }); i >= 0 {
			t.Errorf("element %d of %s starts as NaN", i, name)
		}
	}
	again := buildModel(t, s.open, s.options, s.build.Task)
	sameTensors(t, "starting values of the same seed", again.copied(value), s.copied(value))
}

func checkStepRepeats(t *testing.T, s *modelSession) {
	buffers, values, quantizedBefore := s.buffers(), s.copied(value), s.copied(quantized)
	first := s.step(t)
	grads := s.copied(grad)
	sameTensors(t, "values after Step", s.copied(value), values)
	sameTensors(t, "quantized values after Step", s.copied(quantized), quantizedBefore)
	s.restore(buffers)
	if again := s.step(t); again != first {
		t.Errorf("the same step again = %+v, want %+v", again, first)
	}
	sameTensors(t, "gradients of the same step", s.copied(grad), grads)
	fresh := buildModel(t, s.open, s.options, s.build.Task)
	if again := fresh.step(t); again != first {
		t.Errorf("the same step in a fresh session = %+v, want %+v", again, first)
	}
}

func checkGradOverwritten(t *testing.T, s *modelSession) {
	for _, p := range s.build.Parameters {
		for i := range p.Grad {
			p.Grad[i] = float32(math.NaN())
		}
	}
	s.step(t)
	for name, g := range s.copied(grad) {
		if i := slices.IndexFunc(g, func(v float32) bool { return v != v }); i >= 0 {
			t.Errorf("gradient %d of %s was NaN before Step and still is, want every one overwritten", i, name)
		}
	}
}

// checkUsesQuantized sees that the latent weights take no part in a step.
func checkUsesQuantized(t *testing.T, s *modelSession) {
	buffers := s.buffers()
	want := s.step(t)
	for _, p := range s.build.Parameters {
		if p.Quantized == nil {
			continue
		}
		for i := range p.Value {
			p.Value[i] = float32(math.NaN())
		}
	}
	s.restore(buffers)
	if got := s.step(t); got != want {
		t.Errorf("with latent weights of NaN, Step = %+v, want %+v as computed from the quantized ones", got, want)
	}
}

func checkUpdate(t *testing.T, s *modelSession) {
	s.step(t)
	values, quantizedBefore, grads := s.copied(value), s.copied(quantized), s.copied(grad)
	s.update(t, model.Update{Number: 1, LearningRate: 0})
	sameTensors(t, "values after an update of learning rate 0", s.copied(value), values)
	for _, p := range s.build.Parameters { // as if that update had not been
		clear(p.Moment1)
		clear(p.Moment2)
	}
	s.step(t)
	s.update(t, model.Update{Number: 1, LearningRate: 0.01})
	sameTensors(t, "quantized values after Update", s.copied(quantized), quantizedBefore)
	for name, after := range s.copied(value) {
		for i, g := range grads[name] {
			// Adam's first step is the learning rate against the gradient's sign.
			if moved := float64(after[i] - values[name][i]); math.Abs(float64(g)) > 1e-3 && moved*float64(g) >= 0 {
				t.Errorf("element %d of %s moved by %v on a gradient of %v, want it to move against it", i, name, moved, g)
				return
			}
		}
	}
}

// checkGradNorm scales the gradients after a step, as a quantizer's Backward
// may, and sees that Update reports the norm of what it found, clipped or not.
func checkGradNorm(t *testing.T, s *modelSession) {
	s.step(t)
	square := 0.0
	for _, p := range s.build.Parameters {
		for i := range p.Grad {
			p.Grad[i] *= 3
			square += float64(p.Grad[i]) * float64(p.Grad[i])
		}
	}
	norm := math.Sqrt(square)
	for _, clip := range []float64{0, norm / 2} {
		got := s.update(t, model.Update{Number: 1, LearningRate: 0.01, ClipNorm: clip}).GradNorm
		if math.Abs(got-norm) > 1e-4*(norm+1e-6) {
			t.Errorf("GradNorm of gradients clipped to %v = %v, want %v, the norm over all Grad as Update finds it", clip, got, norm)
		}
	}
}

func checkEvaluate(t *testing.T, s *modelSession) {
	values, grads := s.copied(value), s.copied(grad)
	s.calibrate(t)
	targets := s.build.Task.Batch
	if s.build.Task.Kind == model.LanguageModel {
		targets *= s.build.Task.Length
	}
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		first := s.evaluate(t, model.Evaluate{Statistics: statistics})
		if first.Count != targets {
			t.Errorf("Evaluate with %s statistics: Count = %d, want %d", statistics, first.Count, targets)
		}
		s.restore(buffers)
		if again := s.evaluate(t, model.Evaluate{Statistics: statistics}); again != first {
			t.Errorf("Evaluate with %s statistics again = %+v, want %+v", statistics, again, first)
		}
		s.restore(buffers)
	}
	sameTensors(t, "values after Evaluate", s.copied(value), values)
	sameTensors(t, "gradients after Evaluate", s.copied(grad), grads)
}

// checkPartialBatch sees that the sequences beyond Valid are not scored, but
// take part in the statistics of a batch.
func checkPartialBatch(t *testing.T, s *modelSession) {
	s.calibrate(t)
	const valid = 2
	buffers := s.buffers()
	want := s.evaluate(t, model.Evaluate{Statistics: model.Frozen, Valid: valid})
	if per := s.build.Task.Length; s.build.Task.Kind == model.LanguageModel && want.Count != valid*per {
		t.Errorf("Count of %d valid sequences = %d, want %d", valid, want.Count, valid*per)
	}
	s.checkScoredApart(t, model.Batch)
	s.checkScoredApart(t, model.Frozen)

	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate, First: true})
	whole := s.buffers()
	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate, First: true, Valid: valid})
	sameTensors(t, "buffers calibrated with a batch of which some sequences count", s.buffers(), whole)

	s.restore(buffers)
	s.disturbBeyond(valid)
	if got := s.evaluate(t, model.Evaluate{Statistics: model.Frozen, Valid: valid}); got != want {
		t.Errorf("with other sequences beyond the valid ones, Evaluate = %+v, want %+v", got, want)
	}
}

// checkScoredApart scores the sequences of a batch one by one, the others being
// there as filling, and sees that the scores add up to the batch's: none is
// scored twice, and the statistics are the same each time.
func (s *modelSession) checkScoredApart(t *testing.T, statistics model.Statistics) {
	t.Helper()
	buffers := s.buffers()
	whole := s.evaluate(t, model.Evaluate{Statistics: statistics})
	var sum model.Evaluation
	for range s.build.Task.Batch {
		s.rotate()
		s.restore(buffers)
		one := s.evaluate(t, model.Evaluate{Statistics: statistics, Valid: 1})
		sum.LossSum += one.LossSum
		sum.Count += one.Count
		sum.Correct += one.Correct
	}
	s.restore(buffers)
	if sum.Count != whole.Count || sum.Correct != whole.Correct || math.Abs(sum.LossSum-whole.LossSum) > 1e-5*math.Abs(whole.LossSum) {
		t.Errorf("with %s statistics, the scores of a batch's sequences one by one, each with the others as filling, add up to %+v, want %+v as of the whole batch",
			statistics, sum, whole)
	}
}

// rotate moves every sequence of the batch one place on, the last one to the front.
func (s *modelSession) rotate() {
	task := s.build.Task
	for _, tensor := range s.build.Inputs.Int32 {
		rotate(tensor, task.Batch, 1)
	}
	for _, tensor := range s.build.Inputs.Float32 {
		rotate(tensor, task.Batch, task.InputSize)
	}
}

// rotate moves the rows of every [batch, width] block of a tensor one place on.
func rotate[T any](tensor []T, batch, width int) {
	for block := range slices.Chunk(tensor, batch*width) {
		last := slices.Clone(block[(batch-1)*width:])
		copy(block[width:], block)
		copy(block, last)
	}
}

// disturbBeyond changes the inputs and targets of the sequences from the given one on.
func (s *modelSession) disturbBeyond(valid int) {
	task := s.build.Task
	for name, tensor := range s.build.Inputs.Int32 {
		size := task.InputSize
		if name == "targets" {
			size = task.OutputSize
		}
		for i := range tensor {
			if i%task.Batch >= valid {
				tensor[i] = (tensor[i] + 1) % int32(size)
			}
		}
	}
	for _, tensor := range s.build.Inputs.Float32 {
		for i := range tensor {
			if i/task.InputSize%task.Batch >= valid {
				tensor[i] = 1 - tensor[i]
			}
		}
	}
}
