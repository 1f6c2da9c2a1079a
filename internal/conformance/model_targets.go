package conformance

import (
	"math"
	"slices"

	"bittern/plugins/model"
	"bittern/plugins/network"
)

// withoutTargets returns the batch with −1 for the targets that drop chooses.
func withoutTargets(b network.Batch, drop func(at int) bool) network.Batch {
	b.Targets = slices.Clone(b.Targets)
	for at := range b.Targets {
		if drop(at) {
			b.Targets[at] = -1
		}
	}
	return b
}

// parts returns batches with a part of the targets each: those of one sequence and, if a
// sequence has several, those of its odd and of its even steps.
func parts(b network.Batch) []network.Batch {
	var list []network.Batch
	for i := range b.Sequences {
		list = append(list, withoutTargets(b, func(at int) bool { return at%b.Sequences != i }))
	}
	if len(b.Targets) == b.Sequences {
		return list
	}
	first := list[0]
	return append(list[1:],
		withoutTargets(first, func(at int) bool { return at/b.Sequences%2 == 0 }),
		withoutTargets(first, func(at int) bool { return at/b.Sequences%2 == 1 }))
}

// checkEvaluateTargets checks that targets of −1 are not scored, and that their sequences still
// count in the statistics of the batch.
func checkEvaluateTargets(r *recorder, s *modelSession) {
	s.calibrate(r)
	batch := randomBatch(s.build.Shape, 0)
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		whole := s.evaluate(r, model.Evaluate{Statistics: statistics})
		var sum network.Score
		for _, part := range parts(batch) {
			s.fill(part)
			s.restore(buffers)
			sum.Add(s.evaluate(r, model.Evaluate{Statistics: statistics}))
		}
		s.fill(batch)
		s.restore(buffers)
		if sum.Count != whole.Count || sum.Correct != whole.Correct || math.Abs(sum.LossSum-whole.LossSum) > 1e-5*math.Abs(whole.LossSum) {
			r.saw("with %s statistics, the scores of parts of a batch's targets, the others being −1, add up to %+v", statistics, sum).want("%+v as of all targets", whole)
		}
	}

	some := parts(batch)[0]
	s.evaluate(r, model.Evaluate{Statistics: model.Calibrate, First: true})
	whole := s.buffers()
	s.fill(some)
	s.evaluate(r, model.Evaluate{Statistics: model.Calibrate, First: true})
	sameTensors(r, "buffers calibrated with a batch of which some sequences have no target", s.buffers(), whole)

	want := s.evaluate(r, model.Evaluate{Statistics: model.Frozen})
	other := cloned(some)
	disturb(s.build.Shape, other, func(_ network.Input, _, sequence int) bool { return !some.Scored(sequence) })
	s.fill(other)
	if got := s.evaluate(r, model.Evaluate{Statistics: model.Frozen}); got != want {
		r.saw("with other values in sequences that have no target, Evaluate = %+v", got).want("%+v", want)
	}
}

// checkStepTargets checks that the loss is the mean over the targets that are not −1, and that
// the gradients are those of this mean.
func checkStepTargets(r *recorder, s *modelSession) {
	batch := randomBatch(s.build.Shape, 0)
	buffers := s.buffers()
	loss := s.step(r).Loss
	want := s.copied(grad)
	sums := map[string][]float64{}
	sum := 0.0
	for _, part := range parts(batch) {
		s.fill(part)
		s.restore(buffers)
		share := float64(targets(part)) / float64(targets(batch))
		sum += share * s.step(r).Loss
		for name, p := range s.build.Parameters {
			if sums[name] == nil {
				sums[name] = make([]float64, len(p.Grad))
			}
			for i, g := range p.Grad {
				sums[name][i] += share * float64(g)
			}
		}
	}
	if math.Abs(sum-loss) > 1e-5*(1+math.Abs(loss)) {
		r.saw("the losses of steps on parts of a batch's targets, the others being −1, come to %v in the weighted mean", sum).want("%v as of all targets", loss)
	}
	for name, gradient := range want {
		largest := 0.0
		for _, g := range gradient {
			largest = max(largest, math.Abs(float64(g)))
		}
		for i, g := range gradient {
			if math.Abs(sums[name][i]-float64(g)) > 1e-4*largest+1e-7 {
				r.saw("the gradients of steps on parts of a batch's targets: element %d of %s comes to %v in the weighted mean", i, name, sums[name][i]).want("%v as of all targets", g)
			}
		}
	}
}

func targets(b network.Batch) int {
	n := 0
	for _, target := range b.Targets {
		if target >= 0 {
			n++
		}
	}
	return n
}

// checkLengths checks that steps beyond a sequence's length change nothing.
func checkLengths(r *recorder, s *modelSession) {
	s.calibrate(r)
	batch := randomBatch(s.build.Shape, 0)
	other := cloned(batch)
	disturb(s.build.Shape, other, beyond(s.build.Shape, batch))
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		want := s.evaluate(r, model.Evaluate{Statistics: statistics})
		s.fill(other)
		s.restore(buffers)
		if got := s.evaluate(r, model.Evaluate{Statistics: statistics}); got != want {
			r.saw("with %s statistics and other values in the steps beyond lengths, Evaluate = %+v", statistics, got).want("%+v", want)
		}
		s.fill(batch)
		s.restore(buffers)
	}
	buffers := s.buffers()
	want := s.step(r)
	grads := s.copied(grad)
	s.fill(other)
	s.restore(buffers)
	if got := s.step(r); got != want {
		r.saw("with other values in the steps beyond lengths, Step = %+v", got).want("%+v", want)
	}
	sameTensors(r, "gradients with other values in the steps beyond lengths", s.copied(grad), grads)
}
