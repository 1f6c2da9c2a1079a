package bench

import (
	"context"
	"errors"
	"fmt"

	"bittern/accel/kernels/isa"
	"bittern/plugins/model"
)

// evaluations returns the training steps whose batches are evaluated, with products of float32 and of
// bfloat16.
func evaluations() []timedStep {
	var all []timedStep
	for _, units := range []int{512, 1000} {
		e := characters(units, 87)
		e.name = fmt.Sprintf("Evaluation/characters-%d", units)
		all = append(all, e)
		e.name += withBFloat16
		e.training.Arithmetic = model.BFloat16
		all = append(all, e)
	}
	return all
}

// evaluationLines times the evaluation of a batch during training, against a training step. An epoch
// of War & Peace has 407 steps, 51 batches of validation and 10 of calibration: they are 5 % of its
// time if an evaluation takes 0.35 of that of a step.
func (b *Bench) evaluationLines(ctx context.Context) ([]Line, error) {
	var lines []Line
	for _, e := range evaluations() {
		if !b.wants(e.name) {
			continue
		}
		if e.training.Arithmetic == model.BFloat16 && isa.BFloat16() == isa.Portable {
			lines = append(lines, withoutBFloat16(e.name))
			continue
		}
		ours, step, err := b.timeEvaluation(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		line := newLine(e.name, ours)
		line.compare(aStep, step, "")
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeEvaluation times evaluations and training steps of the same size, in turn.
func (b *Bench) timeEvaluation(ctx context.Context, e timedStep) (ours, step Sample, err error) {
	trial, err := b.trial(ctx, e, "stochastic-ternary")
	if err != nil {
		return ours, step, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	stepping := &contestant{who: aStep + ", by bittern", turn: func(ctx context.Context) (float64, error) {
		took, err := trial.Step(ctx)
		return took.Seconds(), err
	}}
	evaluating := &contestant{who: "bittern", turn: func(ctx context.Context) (float64, error) {
		took, err := trial.Evaluate(ctx, e.training.Arithmetic)
		return took.Seconds(), err
	}}
	samples, err := b.inTurn(ctx, stepping, evaluating)
	if err != nil {
		return ours, step, err
	}
	return samples[1], samples[0], nil
}
