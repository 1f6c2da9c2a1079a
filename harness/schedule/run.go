package schedule

import (
	"context"
	"errors"
	"slices"
	"sync"

	"bittern/harness/experiment"
	"bittern/harness/store"
)

// Failure is a part of a suite that could not be finished.
type Failure struct {
	Spec *experiment.Spec
	experiment.Failed
}

// Run finishes the experiments of a suite, jobs of them at a time, and lists what
// plugins are to blame for. The first error that is not a plugin's ends the
// run; an interrupt lets the experiments under way save first and is returned as the
// cause of ctx's end, unless one of them fails at that: its error is returned then.
func Run(parent context.Context, runner *experiment.Runner, suite string, specs []*experiment.Spec, jobs int, display *Display) ([]Failure, error) {
	rows := make([]store.Experiment, len(specs))
	for i, spec := range specs {
		row, err := spec.Row()
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	if err := runner.Store.PutSuite(parent, suite, rows); err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	failures, faults := make([][]experiment.Failed, len(specs)), make([]error, len(specs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for i := range next {
				display.begin(i, specs[i])
				failed, err := runner.Run(ctx, specs[i], func(p experiment.Progress) { display.update(i, p) })
				display.end(i, failed, err)
				failures[i], faults[i] = failed, err
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < len(specs) && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()

	var all []Failure
	for i, failed := range failures {
		for _, f := range failed {
			all = append(all, Failure{Spec: specs[i], Failed: f})
		}
	}
	return all, ending(context.Cause(ctx), context.Cause(parent), faults)
}

// ending is the error of a run that cause ended, nil where nothing did, given
// the interrupt, if there was one, and what the experiments ended with: for most
// of them the cause itself.
func ending(cause, interrupt error, experiments []error) error {
	told := slices.DeleteFunc(experiments, func(err error) bool {
		return errors.Is(err, cause) || errors.Is(err, context.Canceled)
	})
	fault := errors.Join(told...)
	switch {
	case fault == nil:
		return cause
	case errors.Is(cause, interrupt):
		return fault
	}
	return errors.Join(cause, fault)
}
