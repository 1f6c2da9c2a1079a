package bench

import (
	"context"
	"errors"
	"fmt"
)

// evaluationSizes are the units of the networks that are evaluated.
var evaluationSizes = []int{512, 1000}

// evaluationLines times the evaluation of a batch during training, against a training step. An
// epoch's validation takes the validation part's size relative to the training part, times what is
// found here, and as much for each of its calibration batches.
func (b *Bench) evaluationLines(ctx context.Context) ([]Line, error) {
	var lines []Line
	for _, units := range evaluationSizes {
		name := fmt.Sprintf("Evaluation/characters-%d", units)
		if !b.wants(name) {
			continue
		}
		ours, step, err := b.timeEvaluation(ctx, units)
		if err != nil {
			return nil, fmt.Errorf("evaluation at %d units: %w", units, err)
		}
		line := newLine(name, ours)
		line.compare(aStep, step, "")
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeEvaluation times evaluations and training steps of the same size, in turn.
func (b *Bench) timeEvaluation(ctx context.Context, units int) (ours, step Sample, err error) {
	trial, err := b.trial(ctx, characters(units, 87), "stochastic-ternary")
	if err != nil {
		return ours, step, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	stepping := &contestant{who: aStep + ", by bittern", turn: func(ctx context.Context) (float64, error) {
		took, err := trial.Step(ctx)
		return took.Seconds(), err
	}}
	evaluating := &contestant{who: "bittern", turn: func(ctx context.Context) (float64, error) {
		took, err := trial.Evaluate(ctx)
		return took.Seconds(), err
	}}
	samples, err := b.inTurn(ctx, stepping, evaluating)
	if err != nil {
		return ours, step, err
	}
	return samples[1], samples[0], nil
}
