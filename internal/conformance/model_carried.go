package conformance

import (
	"math"

	"bittern/plugins/model"
	"bittern/plugins/network"
)

var frozen = model.Evaluate{Statistics: model.Frozen}

// evaluateSeries scores batches one after the other and returns the last score.
func (s *modelSession) evaluateSeries(r *recorder, batches ...network.Batch) (last network.Score) {
	for _, b := range batches {
		s.fill(b)
		last = s.evaluate(r, frozen)
	}
	return last
}

// checkEvaluateGoesOn checks that a fresh sequence has the same score whatever was scored
// before, and that each sequence of a batch is fresh or not by its own mark.
func checkEvaluateGoesOn(r *recorder, s *modelSession) {
	s.calibrate(r)
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	afresh, on := withFresh(second, all), withFresh(second, none)
	want := s.evaluateSeries(r, afresh)
	if got := s.evaluateSeries(r, first, afresh); got != want {
		r.saw("Evaluate of fresh sequences after another batch = %+v", got).want("%+v as at the start", want)
	}
	goneOn := s.evaluateSeries(r, first, on)
	if again := s.evaluateSeries(r, first, on); again != goneOn {
		r.saw("Evaluate of sequences that go on, again = %+v", again).want("%+v", goneOn)
	}
	mixed := withFresh(second, func(i int) bool { return i == 0 })
	for i := range second.Sequences {
		others := func(at int) bool { return at%second.Sequences != i }
		want := s.evaluateSeries(r, first, withoutTargets(on, others))
		if i == 0 {
			want = s.evaluateSeries(r, withoutTargets(afresh, others))
		}
		got := s.evaluateSeries(r, first, withoutTargets(mixed, others))
		if !nearScore(got, want) {
			r.saw("Evaluate of sequence %d, where sequence 0 alone starts fresh = %+v", i, got).want("%+v", want)
		}
	}
}

// nearScore compares scores but for rounding, since sums may be taken in another order.
func nearScore(a, b network.Score) bool {
	return a.Count == b.Count && a.Correct == b.Correct && math.Abs(a.LossSum-b.LossSum) <= 1e-5*(1+math.Abs(b.LossSum))
}

// checkLongSequence checks that two evaluations, of which the second goes on, score like one of
// the whole sequence, if the score does not depend on statistics of a batch.
func checkLongSequence(r *recorder, s *modelSession) {
	s.calibrate(r)
	first, second := randomBatch(s.build.Shape, 1), withFresh(randomBatch(s.build.Shape, 2), none)
	s.fill(first)
	sum := s.evaluate(r, frozen)
	if s.evaluate(r, model.Evaluate{Statistics: model.Batch}) != sum {
		r.skip("the score depends on statistics of the batch, which has other steps there; see the check of Export")
	}
	sum.Add(s.evaluateSeries(r, first, second))
	shape, batch := joined(s.build.Shape, first, second)
	long := s.fresh(r, shape)
	for name, p := range s.build.Parameters {
		copy(long.build.Parameters[name].Value, p.Value)
		copy(long.build.Parameters[name].Quantized, p.Quantized)
	}
	long.calibrate(r)
	long.fill(batch)
	if got := long.evaluate(r, frozen); !nearScore(got, sum) {
		r.saw("Evaluate of sequences that go on from one batch to the next = %+v in the sum", sum).want("%+v as of one long sequence", got)
	}
}

// checkResume checks that everything a step leaves for the next is in buffers: another session
// with the same buffers must go on in the same way.
func checkResume(r *recorder, s *modelSession) {
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	afresh, on := withFresh(second, all), withFresh(second, none)
	s.fill(first)
	start := s.buffers()
	s.step(r)
	between := s.buffers()
	s.fill(on)
	want := s.step(r)
	grads := s.copied(grad)

	resumed := s.fresh(r, s.build.Shape)
	resumed.restore(between)
	resumed.fill(on)
	if got := resumed.step(r); got != want {
		r.saw("a step that goes on from the buffers of another session = %+v", got).want("%+v as in that session", want)
	}
	sameTensors(r, "gradients of a step that goes on from the buffers of another session", resumed.copied(grad), grads)

	s.restore(between)
	s.fill(afresh)
	fresh := s.step(r)
	anew := s.fresh(r, s.build.Shape)
	anew.restore(start)
	anew.fill(afresh)
	if got := anew.step(r); got != fresh {
		r.saw("a step on fresh sequences after another step = %+v", fresh).want("%+v as at the start", got)
	}
	s.calibrate(r)
	if s.evaluateSeries(r, first, on) != s.evaluateSeries(r, first, afresh) && fresh == want {
		r.saw("Step = %+v whether sequences start fresh or go on", want).want("it to depend on that as Evaluate does")
	}
}

// checkEvaluateState checks that training steps do not change the state of evaluation.
func checkEvaluateState(r *recorder, s *modelSession) {
	s.calibrate(r)
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	third := randomBatch(s.build.Shape, 3)
	on := withFresh(second, none)
	want := s.evaluateSeries(r, first, on)
	s.evaluateSeries(r, first)
	s.fill(third)
	s.step(r)
	if got := s.evaluateSeries(r, on); got != want {
		r.saw("Evaluate that goes on after a step between = %+v", got).want("%+v as without it", want)
	}
}

// checkStepState checks that evaluation does not change the state of training steps.
func checkStepState(r *recorder, s *modelSession) {
	s.calibrate(r)
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	third := randomBatch(s.build.Shape, 3)
	on := withFresh(second, none)
	buffers := s.buffers()
	s.fill(first)
	s.step(r)
	s.fill(on)
	alone := s.step(r)
	s.restore(buffers)
	s.fill(first)
	s.step(r)
	s.evaluateSeries(r, third)
	s.fill(on)
	if got := s.step(r); got != alone {
		r.saw("Step that goes on after an evaluation between = %+v", got).want("%+v as without it", alone)
	}
}
