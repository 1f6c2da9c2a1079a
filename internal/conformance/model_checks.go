package conformance

import (
	"fmt"
	"math"
	"slices"

	"bittern/plugins/model"
)

func checkPlanRepeats(r *recorder, s *modelSession) {
	again, err := s.Plan(r.ctx, s.options, s.build.Shape)
	r.must("Plan again", err)
	if got, want := fmt.Sprint(again), fmt.Sprint(s.plan); got != want {
		r.saw("Plan again = %s", got).want("%s", want)
	}
	if !slices.ContainsFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Quantize }) {
		r.saw("no parameter of %v is marked Quantize: a quantizer has nothing to do", s.plan.Parameters).want("the matrices of recurrent layers to be marked")
	}
}

func checkBuildRepeats(r *recorder, s *modelSession) {
	for name, values := range s.copied(value) {
		if i := slices.IndexFunc(values, func(v float32) bool { return v != v }); i >= 0 {
			r.saw("element %d of %s starts as NaN", i, name).want("a number")
		}
	}
	again := s.fresh(r, s.build.Shape)
	sameTensors(r, "starting values of the same seed", again.copied(value), s.copied(value))
}

func checkStepRepeats(r *recorder, s *modelSession) {
	buffers, values, quantizedBefore := s.buffers(), s.copied(value), s.copied(quantized)
	first := s.step(r)
	grads := s.copied(grad)
	sameTensors(r, "values after Step", s.copied(value), values)
	sameTensors(r, "quantized values after Step", s.copied(quantized), quantizedBefore)
	s.restore(buffers)
	if again := s.step(r); again != first {
		r.saw("the same step again = %+v", again).want("%+v", first)
	}
	sameTensors(r, "gradients of the same step", s.copied(grad), grads)
	fresh := s.fresh(r, s.build.Shape)
	if again := fresh.step(r); again != first {
		r.saw("the same step in a fresh session = %+v", again).want("%+v", first)
	}
}

func checkGradOverwritten(r *recorder, s *modelSession) {
	for _, p := range s.build.Parameters {
		for i := range p.Grad {
			p.Grad[i] = float32(math.NaN())
		}
	}
	s.step(r)
	for name, g := range s.copied(grad) {
		if i := slices.IndexFunc(g, func(v float32) bool { return v != v }); i >= 0 {
			r.saw("gradient %d of %s was NaN before Step and still is", i, name).want("every one overwritten")
		}
	}
}

// checkUsesQuantized checks that a step does not use latent weights.
func checkUsesQuantized(r *recorder, s *modelSession) {
	buffers := s.buffers()
	want := s.step(r)
	for _, p := range s.build.Parameters {
		if p.Quantized == nil {
			continue
		}
		for i := range p.Value {
			p.Value[i] = float32(math.NaN())
		}
	}
	s.restore(buffers)
	if got := s.step(r); got != want {
		r.saw("with latent weights of NaN, Step = %+v", got).want("%+v as computed from the quantized ones", want)
	}
}

func checkUpdate(r *recorder, s *modelSession) {
	s.step(r)
	values, quantizedBefore, grads := s.copied(value), s.copied(quantized), s.copied(grad)
	s.update(r, model.Update{Number: 1, LearningRate: 0})
	sameTensors(r, "values after an update of learning rate 0", s.copied(value), values)
	for _, p := range s.build.Parameters { // undo the update
		clear(p.Moment1)
		clear(p.Moment2)
	}
	s.step(r)
	s.update(r, model.Update{Number: 1, LearningRate: 0.01})
	sameTensors(r, "quantized values after Update", s.copied(quantized), quantizedBefore)
	for name, after := range s.copied(value) {
		for i, g := range grads[name] {
			// Adam's first update moves a value by the learning rate, against the sign of the
			// gradient.
			if moved := float64(after[i] - values[name][i]); math.Abs(float64(g)) > 1e-3 && moved*float64(g) >= 0 {
				r.saw("element %d of %s moved by %v on a gradient of %v", i, name, moved, g).want("it to move against it")
			}
		}
	}
}

// checkGradNorm scales the gradients after a step, as Backward of a quantizer may, and checks
// that Update reports the norm of the scaled gradients before any clipping.
func checkGradNorm(r *recorder, s *modelSession) {
	s.step(r)
	square := 0.0
	for _, p := range s.build.Parameters {
		for i := range p.Grad {
			p.Grad[i] *= 3
			square += float64(p.Grad[i]) * float64(p.Grad[i])
		}
	}
	norm := math.Sqrt(square)
	for _, clip := range []float64{0, norm / 2} {
		got := s.update(r, model.Update{Number: 1, LearningRate: 0.01, ClipNorm: clip}).GradNorm
		if math.Abs(got-norm) > 1e-4*(norm+1e-6) {
			r.saw("GradNorm of gradients clipped to %v = %v", clip, got).want("%v, the norm over all Grad as Update finds it", norm)
		}
	}
}

// checkBeyondThePlan builds the model with a parameter that its plan does not have, as a state
// that the quantizer learns is. Build and Step must not touch it. Update must move it like a
// parameter of the plan with the same value, gradient and moments.
func checkBeyondThePlan(r *recorder, s *modelSession) {
	twin := s.plan.Parameters[0]
	beyond := model.Parameter{Name: twin.Name + "/state", Shape: twin.Shape}
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		s := buildModelWith(r, s.plugins, 1, s.options, s.build.Shape, firstSeed, optimiser, model.Float32, beyond)
		of, state := s.build.Parameters[twin.Name], s.build.Parameters[beyond.Name]
		for i := range state.Grad {
			state.Grad[i] = float32(i%5) - 1.5
		}
		gradient := slices.Clone(state.Grad)
		s.step(r)
		if i := difference(state.Grad, gradient); i >= 0 {
			r.saw("with %s, Step wrote %v to the gradient of a parameter beyond the plan", optimiser, state.Grad[i]).want("it left alone")
		}
		if i := slices.IndexFunc(state.Value, func(v float32) bool { return v != 7 }); i >= 0 {
			r.saw("with %s, Build and Step made %v of a parameter beyond the plan that was 7", optimiser, state.Value[i]).want("it left alone")
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
			got := s.update(r, model.Update{Number: number + 1, LearningRate: 0.01, ClipNorm: norm / 3}).GradNorm
			if math.Abs(got-norm) > 1e-4*norm {
				r.saw("with %s, GradNorm = %v", optimiser, got).want("%v, parameters beyond the plan counted", norm)
			}
		}
		if difference(of.Value, before) < 0 {
			r.saw("with %s, Update left %s as it was on a gradient that is not 0", optimiser, twin.Name).want("it moved")
		}
		for name, pair := range map[string][2][]float32{"value": {state.Value, of.Value}, "first moment": {state.Moment1, of.Moment1}, "second moment": {state.Moment2, of.Moment2}} {
			for i, want := range pair[1] {
				if !near(pair[0][i], want) {
					r.saw("with %s, element %d of the %s of a parameter beyond the plan = %v after two updates", optimiser, i, name, pair[0][i]).want("%v as of %s, which had the same value and gradients", want, twin.Name)
				}
			}
		}
	}
}

func checkEvaluate(r *recorder, s *modelSession) {
	values, grads := s.copied(value), s.copied(grad)
	s.calibrate(r)
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		first := s.evaluate(r, model.Evaluate{Statistics: statistics})
		s.restore(buffers)
		if again := s.evaluate(r, model.Evaluate{Statistics: statistics}); again != first {
			r.saw("Evaluate with %s statistics again = %+v", statistics, again).want("%+v", first)
		}
		s.restore(buffers)
	}
	if !slices.ContainsFunc(s.plan.Buffers, func(b model.Buffer) bool { return b.Statistic }) {
		ofBatch, frozen := s.evaluate(r, model.Evaluate{Statistics: model.Batch}), s.evaluate(r, model.Evaluate{Statistics: model.Frozen})
		if ofBatch != frozen {
			r.saw("no buffer of the plan is marked Statistic, and with batch statistics Evaluate = %+v", ofBatch).want("%+v as with frozen ones, or the mark", frozen)
		}
	}
	sameTensors(r, "values after Evaluate", s.copied(value), values)
	sameTensors(r, "gradients after Evaluate", s.copied(grad), grads)
}
