package experiment

import (
	"context"

	"bittern/harness/task"
	"bittern/plugins/model"
)

// evaluation is all that a score follows from. The request's arithmetic is named.
type evaluation struct {
	part    task.Part
	request model.Evaluate
	network uint64 // see [tensors.fingerprint]
}

// sampled evaluates as the paper's code does: every batch with its own
// statistics and freshly drawn weights.
func (s *session) sampled(ctx context.Context, part task.Part, arithmetic model.Arithmetic, purpose string, step int) (scored, error) {
	draw := func(ctx context.Context, batch int) error {
		return failure(s.quantizer.Quantize(ctx, drawFor(purpose, s.spec.Seed, step, batch)))
	}
	batches, calls := s.task.Evaluation(part).Len(), context.WithoutCancel(ctx)
	var first uint64
	for i := range batches {
		if err := ctx.Err(); err != nil {
			return scored{}, err
		}
		if err := draw(calls, i); err != nil {
			return scored{}, err
		}
		drawn := s.tensors.fingerprint(model.Batch)
		if i == 0 {
			first = drawn
		} else if drawn != first {
			return s.evaluate(ctx, part, model.Evaluate{Statistics: model.Batch, Arithmetic: arithmetic}, draw)
		}
	}
	return s.evaluateOnce(ctx, part, model.Evaluate{Statistics: model.Batch, Arithmetic: arithmetic}) // the quantizer does not draw
}

// frozen evaluates as a deployed network does: with the weights that stand in
// Quantized and the statistics kept in the buffers; see [session.fixWeights].
func (s *session) frozen(ctx context.Context, part task.Part, arithmetic model.Arithmetic) (scored, error) {
	return s.evaluateOnce(ctx, part, model.Evaluate{Statistics: model.Frozen, Arithmetic: arithmetic})
}

// evaluateOnce evaluates with the weights that stand in Quantized. The same network has the
// same score: it is not evaluated again before it moves.
func (s *session) evaluateOnce(ctx context.Context, part task.Part, request model.Evaluate) (scored, error) {
	if !s.tensors.hasStatistics() {
		request.Statistics = model.Frozen // all statistics give the same score
	}
	if request.Arithmetic.IsZero() {
		request.Arithmetic = model.Float32
	}
	this := evaluation{part, request, s.tensors.fingerprint(request.Statistics)}
	if found, known := s.evaluated[this]; known {
		return found, nil
	}
	found, err := s.evaluate(ctx, part, request, func(context.Context, int) error { return nil })
	if err != nil {
		return scored{}, err
	}
	if s.evaluated == nil {
		s.evaluated = map[evaluation]scored{}
	}
	s.evaluated[this] = found
	return found, nil
}

// evaluate scores a part of the data. prepare is called before each batch.
func (s *session) evaluate(ctx context.Context, part task.Part, request model.Evaluate, prepare func(ctx context.Context, batch int) error) (scored, error) {
	batches := s.task.Evaluation(part)
	calls := context.WithoutCancel(ctx) // a batch that has begun is finished
	var sums tally
	for i := range batches.Len() {
		if err := ctx.Err(); err != nil {
			return scored{}, err
		}
		if err := prepare(calls, i); err != nil {
			return scored{}, err
		}
		if err := batches.Fill(i, s.tensors.batch); err != nil {
			return scored{}, err
		}
		one, err := s.model.Evaluate(calls, request)
		if err != nil {
			return scored{}, failure(err)
		}
		sums.add(batches.Group(i), one)
	}
	found := sums.score(s.task.Metric())
	if !found.finite() {
		return scored{}, unusable(s.modelProcess, s.spec.Model.Label, "has losses that sum to %v over %d targets, a score of %v", sums.total.LossSum, sums.total.Count, found.metric)
	}
	return found, nil
}

// calibrate gathers the normalization statistics of a deployed network over a number of
// training batches, at most one epoch of them, and returns how many sequences those have: 0
// if it has no statistics. They are the batches of the epoch after the last one, so that
// their order is one that training has not seen.
func (s *session) calibrate(ctx context.Context, number int, arithmetic model.Arithmetic) (sequences int, err error) {
	if !s.tensors.hasStatistics() {
		return 0, nil
	}
	batches := s.task.Training(s.spec.Seed, s.spec.Task.Training.Epochs)
	calls := context.WithoutCancel(ctx)
	for i := range min(number, batches.Len()) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := batches.Fill(i, s.tensors.batch); err != nil {
			return 0, err
		}
		request := model.Evaluate{Statistics: model.Calibrate, First: i == 0, Arithmetic: arithmetic}
		if _, err := s.model.Evaluate(calls, request); err != nil {
			return 0, failure(err)
		}
		sequences += s.tensors.batch.Sequences
	}
	return sequences, nil
}
