package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"bittern/harness/storage"
	"bittern/harness/store"
)

// checkpointLines times the wait of a training for a checkpoint, and the steps beside which it
// is saved, in turn with steps beside which nothing is.
func (b *Bench) checkpointLines(ctx context.Context) ([]Line, error) {
	const waitName, besideName = "Checkpoint/characters-512/wait", "Checkpoint/characters-512/step-beside"
	if !b.wants(waitName, besideName) {
		return nil, nil
	}
	e := characters(512, 87)
	wait, beside, plain, err := b.timeCheckpoints(ctx, e)
	if err != nil {
		return nil, err
	}
	waiting, stepping := newLine(waitName, wait), newLine(besideName, beside)
	waiting.compare(undisturbed, plain, "")
	stepping.compare(undisturbed, plain, "")
	b.Progress(waiting.Name)
	b.Progress(stepping.Name)
	return []Line{waiting, stepping}, nil
}

// timeCheckpoints returns for each round the wait, and the median steps beside a checkpoint and
// without one, of as many steps as the checkpoint took.
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
	wait.Who, beside.Who, plain.Who = "bittern", "bittern", "bittern"
	for round := range b.Runs + 1 {
		began := time.Now()
		if err := saves.Save(ctx); err != nil {
			return wait, beside, plain, err
		}
		waited := time.Since(began).Seconds()
		var with, without []float64
		for busy := true; busy; {
			took, err := trial.Step(ctx)
			if err != nil {
				return wait, beside, plain, err
			}
			with = append(with, took.Seconds())
			if busy, err = saves.Busy(); err != nil {
				return wait, beside, plain, err
			}
		}
		for range with {
			took, err := trial.Step(ctx)
			if err != nil {
				return wait, beside, plain, err
			}
			without = append(without, took.Seconds())
		}
		if round > 0 { // the first maps and fills memory
			wait.Values = append(wait.Values, waited)
			beside.Values = append(beside.Values, median(with))
			plain.Values = append(plain.Values, median(without))
		}
	}
	return wait, beside, plain, nil
}
