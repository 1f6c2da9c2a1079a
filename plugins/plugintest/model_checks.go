package plugintest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/plugins/model"
)

func checkPlanRepeats(t *testing.T, s *modelSession) {
	again, err := s.Plan(t.Context(), s.options, s.build.Shape)
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
	again := s.other.build(t, s.options, s.build.Shape)
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
	fresh := s.other.build(t, s.options, s.build.Shape)
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

// checkBeyondThePlan builds the model with a parameter that its plan does not have, as a
// state is that the quantizer learns. Build and Step leave it alone, and Update moves it
// as it moves a parameter of the plan with the same value, gradient and moments.
func checkBeyondThePlan(t *testing.T, s *modelSession) {
	twin := s.plan.Parameters[0]
	beyond := model.Parameter{Name: twin.Name + "/state", Shape: twin.Shape}
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		s := s.other.buildWith(t, s.options, s.build.Shape, optimiser, beyond)
		of, state := s.build.Parameters[twin.Name], s.build.Parameters[beyond.Name]
		for i := range state.Grad {
			state.Grad[i] = float32(i%5) - 1.5
		}
		gradient := slices.Clone(state.Grad)
		s.step(t)
		if i := difference(state.Grad, gradient); i >= 0 {
			t.Errorf("with %s, Step wrote %v to the gradient of a parameter beyond the plan, want it left alone", optimiser, state.Grad[i])
		}
		if i := slices.IndexFunc(state.Value, func(v float32) bool { return v != 7 }); i >= 0 {
			t.Errorf("with %s, Build and Step made %v of a parameter beyond the plan that was 7, want it left alone", optimiser, state.Value[i])
		}
		copy(state.Value, of.Value)
		before := slices.Clone(of.Value)
		for number := range uint64(2) {
			copy(of.Grad, gradient)
			copy(state.Grad, gradient)
			square := 0.0
			for _, p := range s.build.Parameters {
				for _, g := range p.Grad {
					square += float64(g) * float64(g)
				}
			}
			norm := math.Sqrt(square)
			got := s.update(t, model.Update{Number: number + 1, LearningRate: 0.01, ClipNorm: norm / 3}).GradNorm
			if math.Abs(got-norm) > 1e-4*norm {
				t.Errorf("with %s, GradNorm = %v, want %v, parameters beyond the plan counted", optimiser, got, norm)
			}
		}
		if difference(of.Value, before) < 0 {
			t.Errorf("with %s, Update left %s as it was on a gradient that is not 0", optimiser, twin.Name)
		}
		for name, pair := range map[string][2][]float32{"value": {state.Value, of.Value}, "first moment": {state.Moment1, of.Moment1}, "second moment": {state.Moment2, of.Moment2}} {
			for i, want := range pair[1] {
				if !near(pair[0][i], want) {
					t.Errorf("with %s, element %d of the %s of a parameter beyond the plan = %v after two updates, want %v as of %s, which had the same value and gradients", optimiser, i, name, pair[0][i], want, twin.Name)
					break
				}
			}
		}
	}
}

func checkEvaluate(t *testing.T, s *modelSession) {
	values, grads := s.copied(value), s.copied(grad)
	s.calibrate(t)
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		first := s.evaluate(t, model.Evaluate{Statistics: statistics})
		s.restore(buffers)
		if again := s.evaluate(t, model.Evaluate{Statistics: statistics}); again != first {
			t.Errorf("Evaluate with %s statistics again = %+v, want %+v", statistics, again, first)
		}
		s.restore(buffers)
	}
	sameTensors(t, "values after Evaluate", s.copied(value), values)
	sameTensors(t, "gradients after Evaluate", s.copied(grad), grads)
}
