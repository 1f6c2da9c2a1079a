package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bittern/harness/experiment"
	"bittern/harness/store"
)

// Failure is a part of a suite that could not be finished.
type Failure struct {
	Spec *experiment.Spec
	experiment.Failed
}

// Runner does whatever of an experiment the run store does not have yet, as
// [experiment.Runner.Run] says.
type Runner interface {
	Run(ctx context.Context, spec *experiment.Spec, report func(experiment.Progress)) ([]experiment.Failed, error)
}

// Run runs the experiments of a suite, jobs of them at a time, and returns what failed by
// the fault of a plugin. If another process is running an experiment, Run does the others
// first, then waits for that one and uses its stored result.
//
// The first error that is no plugin's fault ends the run. After an interrupt the
// experiments under way save their state, and Run returns the cause of ctx's end; if saving
// fails, it returns that error.
//
// The store lists the experiments under their suite. If a suite is made of parts, it lists
// them under each part too.
func Run(parent context.Context, runs *store.Store, runner Runner, specs []*experiment.Spec, jobs int, display *Display) ([]Failure, error) {
	if err := record(parent, runs, specs); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	failures, faults := make([][]experiment.Failed, len(specs)), make([]error, len(specs))
	pending := newQueue(len(specs))
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for {
				i, ok := pending.take(ctx)
				if !ok {
					return
				}
				display.begin(i, specs[i])
				failed, err := runner.Run(ctx, specs[i], func(p experiment.Progress) { display.update(i, p) })
				display.end(i, failed, err)
				if held, ok := errors.AsType[*store.Held](err); ok {
					if pending.putBack(i) {
						display.Line(fmt.Sprintf("%s: %s; waiting", specs[i], held))
					}
					continue
				}
				pending.done()
				failures[i], faults[i] = failed, err
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()

	var all []Failure
	for i, failed := range failures {
		for _, f := range failed {
			all = append(all, Failure{Spec: specs[i], Failed: f})
		}
	}
	return all, ending(context.Cause(ctx), context.Cause(parent), faults)
}

// record stores what each suite lists.
func record(ctx context.Context, runs *store.Store, specs []*experiment.Spec) error {
	type line struct {
		position int
		row      store.Experiment
	}
	lists := make(map[string][]line)
	var suites, backends []string
	for _, spec := range specs {
		row, err := spec.Row()
		if err != nil {
			return err
		}
		for _, l := range spec.Listings {
			if !slices.Contains(suites, l.Suite) {
				suites = append(suites, l.Suite)
			}
			row.Task, row.Model, row.Quantizer = l.Task, l.Model, l.Quantizer
			lists[l.Suite] = append(lists[l.Suite], line{l.Position, row})
		}
		for _, b := range spec.Backends {
			if !slices.Contains(backends, b.Label) {
				backends = append(backends, b.Label)
			}
		}
	}
	for _, suite := range suites {
		list := lists[suite]
		slices.SortFunc(list, func(a, b line) int { return a.position - b.position })
		var rows []store.Experiment
		for _, l := range list {
			rows = append(rows, l.row)
		}
		if err := runs.PutSuite(ctx, suite, rows, backends); err != nil {
			return err
		}
	}
	return nil
}

// ending is the error that a run returns. cause is what ended it, nil if nothing did;
// interrupt is the user's interrupt, nil if there was none; experiments are the errors of
// the experiments, most of which are the cause itself.
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

// pause is how long an experiment that another process is running is left alone.
const pause = 250 * time.Millisecond

// queue holds the experiments that are still to be run, by their numbers in the suite.
type queue struct {
	mu        sync.Mutex
	fresh     []int         // not tried yet
	held      []int         // by another process when they were last tried
	told      map[int]bool  // of the held, those that were told of
	remaining int           // not done, those under way included
	empty     chan struct{} // closed when remaining is 0
}

func newQueue(count int) *queue {
	q := &queue{remaining: count, told: make(map[int]bool), empty: make(chan struct{})}
	for i := range count {
		q.fresh = append(q.fresh, i)
	}
	if count == 0 {
		close(q.empty)
	}
	return q
}

// take returns the next experiment to run. If only experiments are left that another
// process was running, it waits a moment before it returns one of them. It returns false if
// nothing is left to do or ctx is done.
func (q *queue) take(ctx context.Context) (i int, ok bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if len(q.fresh) > 0 {
			i, q.fresh = q.fresh[0], q.fresh[1:]
			q.mu.Unlock()
			return i, true
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return 0, false
		case <-q.empty:
			return 0, false
		case <-time.After(pause):
		}
		q.mu.Lock()
		if len(q.held) > 0 {
			i, q.held = q.held[0], q.held[1:]
			q.mu.Unlock()
			return i, true
		}
		q.mu.Unlock()
	}
	return 0, false
}

// putBack returns an experiment that another process is running to the queue. It reports
// whether this is the first time for that experiment.
func (q *queue) putBack(i int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = append(q.held, i)
	news := !q.told[i]
	q.told[i] = true
	return news
}

// done notes that an experiment is finished.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.remaining--; q.remaining == 0 {
		close(q.empty)
	}
}
