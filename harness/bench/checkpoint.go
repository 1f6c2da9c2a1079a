package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"bittern/harness/storage"
	"bittern/harness/store"
)

// training names the training steps that a checkpoint is compared with.
const training = "training step"

// checkpointLines times the wait of a training for a checkpoint, and the steps beside which it
// is saved, in turn with steps beside which nothing is.
func (b *Bench) checkpointLines(ctx context.Context) ([]Line, error) {
	e := characters(512, 87, 0, 0, 0)
	wait, beside, plain, err := b.timeCheckpoints(ctx, e)
	if err != nil {
		return nil, err
	}
	waiting, stepping := newLine("Checkpoint/characters-512/wait", wait), newLine("Checkpoint/characters-512/step-beside", beside)
	waiting.hold(training, plain, "", Goal{Within: 0.01})
	stepping.hold(training, plain, "", Goal{Within: 1.01})
	b.Progress(waiting.Name)
	b.Progress(stepping.Name)
	return []Line{waiting, stepping}, nil
}

func (b *Bench) timeCheckpoints(ctx context.Context, e timedStep) (wait, beside, plain Sample, err error) {
	folder, err := os.MkdirTemp("", "bittern-bench-")
	if err != nil {
		return wait, beside, plain, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	runs, err := store.Open(ctx, folder)
	if err != nil {
		return wait, beside, plain, err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	trial, err := b.trial(ctx, e, "stochastic-ternary")
	if err != nil {
		return wait, beside, plain, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	saves, err := trial.Checkpoints(ctx, storage.InFolder(runs))
	if err != nil {
		return wait, beside, plain, err
	}
	defer func() { err = errors.Join(err, saves.Close()) }()
	wait.Who, beside.Who, plain.Who = "bittern", "bittern", "a training step without"
	step := func(into *Sample) error {
		took, err := trial.Step(ctx)
		into.Seconds = append(into.Seconds, took.Seconds())
		return err
	}
	for range 2 { // they map and fill memory
		if err := step(&Sample{}); err != nil {
			return wait, beside, plain, err
		}
	}
	for range b.Runs {
		began := time.Now()
		if err := saves.Save(ctx); err != nil {
			return wait, beside, plain, err
		}
		wait.Seconds = append(wait.Seconds, time.Since(began).Seconds())
		steps := 0
		for busy := true; busy; steps++ {
			if err := step(&beside); err != nil {
				return wait, beside, plain, err
			}
			if busy, err = saves.Busy(); err != nil {
				return wait, beside, plain, err
			}
		}
		for range steps {
			if err := step(&plain); err != nil {
				return wait, beside, plain, err
			}
		}
	}
	return wait, beside, plain, nil
}
