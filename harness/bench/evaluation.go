package bench

import (
	"context"
	"errors"
	"fmt"
)

// aStep is what the evaluation of a batch is compared with.
const aStep = "a training step"

// evaluated is the goal of an evaluation, in training steps of the same batch: forward products
// are a third of a step's. An epoch's validation scores the validation part twice, so that it
// takes twice its size relative to the training part, times this.
const evaluated = 0.4

// evaluationLines times the evaluation of a batch during training.
func (b *Bench) evaluationLines(ctx context.Context) ([]Line, error) {
	var lines []Line
	for _, units := range []int{512, 1000} {
		ours, step, err := b.timeEvaluation(ctx, units)
		if err != nil {
			return nil, fmt.Errorf("evaluation at %d units: %w", units, err)
		}
		line := newLine(fmt.Sprintf("Evaluation/characters-%d", units), ours)
		line.hold(aStep, step, "", Goal{Within: evaluated})
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeEvaluation times evaluations and training steps of the same size, in turn.
func (b *Bench) timeEvaluation(ctx context.Context, units int) (ours, step Sample, err error) {
	trial, err := b.trial(ctx, characters(units, 87, 0, 0, 0), "stochastic-ternary")
	if err != nil {
		return ours, step, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	ours.Who, step.Who = "bittern", aStep+", by bittern"
	for run := -1; run < b.Runs; run++ { // the first is not counted, since it maps and fills memory
		one, err := trial.Step(ctx)
		if err != nil {
			return ours, step, err
		}
		other, err := trial.Evaluate(ctx)
		if err != nil {
			return ours, step, err
		}
		if run >= 0 {
			step.Seconds, ours.Seconds = append(step.Seconds, one.Seconds()), append(ours.Seconds, other.Seconds())
		}
	}
	return ours, step, nil
}
