package plugintest

import (
	"math"
	"testing"

	"bittern/plugins/model"
	"bittern/plugins/network"
)

var frozen = model.Evaluate{Statistics: model.Frozen}

// evaluateSeries scores batches one after the other and returns the last score.
func (s *modelSession) evaluateSeries(t *testing.T, batches ...network.Batch) (last network.Score) {
	t.Helper()
	for _, b := range batches {
		s.fill(b)
		last = s.evaluate(t, frozen)
	}
	return last
}

// checkEvaluateGoesOn sees that a fresh sequence is scored as at the start, whatever
// was scored before, and that each sequence of a batch obeys its own mark.
func checkEvaluateGoesOn(t *testing.T, s *modelSession) {
	s.calibrate(t)
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	afresh, on := withFresh(second, all), withFresh(second, none)
	want := s.evaluateSeries(t, afresh)
	if got := s.evaluateSeries(t, first, afresh); got != want {
		t.Errorf("Evaluate of fresh sequences after another batch = %+v, want %+v as at the start", got, want)
	}
	goneOn := s.evaluateSeries(t, first, on)
	if again := s.evaluateSeries(t, first, on); again != goneOn {
		t.Errorf("Evaluate of sequences that go on, again = %+v, want %+v", again, goneOn)
	}
	mixed := withFresh(second, func(i int) bool { return i == 0 })
	for i := range second.Sequences {
		others := func(at int) bool { return at%second.Sequences != i }
		want := s.evaluateSeries(t, first, withoutTargets(on, others))
		if i == 0 {
			want = s.evaluateSeries(t, withoutTargets(afresh, others))
		}
		got := s.evaluateSeries(t, first, withoutTargets(mixed, others))
		if !nearScore(got, want) {
			t.Errorf("Evaluate of sequence %d, where sequence 0 alone starts fresh = %+v, want %+v", i, got, want)
		}
	}
}

// nearScore allows for another order of sums.
func nearScore(a, b network.Score) bool {
	return a.Count == b.Count && a.Correct == b.Correct && math.Abs(a.LossSum-b.LossSum) <= 1e-5*(1+math.Abs(b.LossSum))
}

// checkLongSequence sees that an evaluation that goes on is that of one long
// sequence, where the score depends on no statistics of a batch.
func checkLongSequence(t *testing.T, s *modelSession) {
	s.calibrate(t)
	first, second := randomBatch(s.build.Shape, 1), withFresh(randomBatch(s.build.Shape, 2), none)
	s.fill(first)
	sum := s.evaluate(t, frozen)
	if s.evaluate(t, model.Evaluate{Statistics: model.Batch}) != sum {
		t.Skip("the score depends on statistics of the batch, which has other steps there; see the check of Export")
	}
	sum.Add(s.evaluateSeries(t, first, second))
	shape, batch := joined(s.build.Shape, first, second)
	long := s.other.build(t, s.options, shape)
	for name, p := range s.build.Parameters {
		copy(long.build.Parameters[name].Value, p.Value)
		copy(long.build.Parameters[name].Quantized, p.Quantized)
	}
	long.calibrate(t)
	long.fill(batch)
	if got := long.evaluate(t, frozen); !nearScore(got, sum) {
		t.Errorf("Evaluate of sequences that go on from one batch to the next = %+v in the sum, want %+v as of one long sequence", sum, got)
	}
}

// checkResume sees that what a step carries lies in buffers: another session with
// the same buffers goes on in the same way.
func checkResume(t *testing.T, s *modelSession) {
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	afresh, on := withFresh(second, all), withFresh(second, none)
	s.fill(first)
	start := s.buffers()
	s.step(t)
	between := s.buffers()
	s.fill(on)
	want := s.step(t)
	grads := s.copied(grad)

	resumed := s.other.build(t, s.options, s.build.Shape)
	resumed.restore(between)
	resumed.fill(on)
	if got := resumed.step(t); got != want {
		t.Errorf("a step that goes on from the buffers of another session = %+v, want %+v as in that session", got, want)
	}
	sameTensors(t, "gradients of a step that goes on from the buffers of another session", resumed.copied(grad), grads)

	s.restore(between)
	s.fill(afresh)
	fresh := s.step(t)
	anew := s.other.build(t, s.options, s.build.Shape)
	anew.restore(start)
	anew.fill(afresh)
	if got := anew.step(t); got != fresh {
		t.Errorf("a step on fresh sequences after another step = %+v, want %+v as at the start", fresh, got)
	}
	s.calibrate(t)
	if s.evaluateSeries(t, first, on) != s.evaluateSeries(t, first, afresh) && fresh == want {
		t.Errorf("Step = %+v whether sequences start fresh or go on, want it to depend on that as Evaluate does", want)
	}
}

// checkStatesApart sees that Step and Evaluate each carry a state of their own.
func checkStatesApart(t *testing.T, s *modelSession) {
	s.calibrate(t)
	first, second := randomBatch(s.build.Shape, 1), randomBatch(s.build.Shape, 2)
	third := randomBatch(s.build.Shape, 3)
	on := withFresh(second, none)

	want := s.evaluateSeries(t, first, on)
	s.evaluateSeries(t, first)
	s.fill(third)
	s.step(t)
	if got := s.evaluateSeries(t, on); got != want {
		t.Errorf("Evaluate that goes on after a step between = %+v, want %+v as without it", got, want)
	}

	buffers := s.buffers()
	s.fill(first)
	s.step(t)
	s.fill(on)
	alone := s.step(t)
	s.restore(buffers)
	s.fill(first)
	s.step(t)
	s.evaluateSeries(t, third)
	s.fill(on)
	if got := s.step(t); got != alone {
		t.Errorf("Step that goes on after an evaluation between = %+v, want %+v as without it", got, alone)
	}
}
