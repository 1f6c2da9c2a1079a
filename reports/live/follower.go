package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports"
)

// Follower reads a suite again and again. Of the training steps it reads only new ones.
type Follower struct {
	runs    *store.Store
	curves  map[string]*curve // by the ID of an experiment
	version int64             // of the store when it was read
	rows    map[string][]row  // by the suite
	suites  []string
}

// row is what the database has of an experiment.
type row struct {
	store.Experiment
	deployments []store.Deployment // that its suite asks for
}

// NewFollower makes a follower of the suites in a run store.
func NewFollower(runs *store.Store) *Follower {
	return &Follower{runs: runs, curves: make(map[string]*curve)}
}

// Read says how far a suite has come: the experiments of these entries, or all where
// entries is nil. A suite that the store does not have is empty.
func (f *Follower) Read(ctx context.Context, suite string, entries []reports.Entry) (Suite, error) {
	rows, err := f.read(ctx, suite)
	if err != nil {
		return Suite{}, err
	}
	s := Suite{Name: suite}
	var seconds []float64 // of the trained experiments
	for _, row := range rows {
		if entries != nil && !slices.Contains(entries, reports.Entry{Task: row.Task, Model: row.Model, Quantizer: row.Quantizer}) {
			continue
		}
		e, err := f.experiment(row)
		if err != nil {
			return Suite{}, err
		}
		s.Experiments = append(s.Experiments, e)
		if e.Trained {
			seconds = append(seconds, row.TrainSeconds)
		}
	}
	s.Remaining = remaining(s.Experiments, seconds)
	return s, nil
}

// Suites lists the suites in the store, and the one whose experiment was begun or finished
// last. If several suites share that experiment, it is the one with the most experiments.
func (f *Follower) Suites(ctx context.Context) (names []string, last string, err error) {
	if err := f.refresh(ctx); err != nil {
		return nil, "", err
	}
	if f.suites == nil {
		if f.suites, err = f.runs.Suites(ctx); err != nil {
			return nil, "", err
		}
	}
	var when time.Time
	size := 0
	for _, name := range f.suites {
		rows, err := f.read(ctx, name)
		if err != nil {
			return nil, "", err
		}
		var at time.Time
		for _, r := range rows {
			for _, t := range []time.Time{r.StartedAt, r.FinishedAt} {
				if t.After(at) {
					at = t
				}
			}
		}
		if last == "" || at.After(when) || at.Equal(when) && len(rows) > size {
			last, when, size = name, at, len(rows)
		}
	}
	return f.suites, last, nil
}

// refresh discards what was read from the database if that has changed since.
func (f *Follower) refresh(ctx context.Context) error {
	version, err := f.runs.Version(ctx)
	if err == nil && (version != f.version || f.rows == nil) {
		f.version, f.rows, f.suites = version, make(map[string][]row), nil
	}
	return err
}

// read reads a suite from the database, where that has changed since the last time.
func (f *Follower) read(ctx context.Context, suite string) ([]row, error) {
	if err := f.refresh(ctx); err != nil { // first: what changes while it is read is read again
		return nil, err
	}
	if rows, ok := f.rows[suite]; ok {
		return rows, nil
	}
	experiments, err := f.runs.Experiments(ctx, suite)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, e := range experiments {
		r := row{Experiment: e}
		if e.Status == store.Done {
			all, err := f.runs.Deployments(ctx, e.ID)
			if err != nil {
				return nil, err
			}
			r.deployments = slices.DeleteFunc(all, func(d store.Deployment) bool { return !slices.Contains(e.Backends, d.Backend) })
		}
		rows = append(rows, r)
	}
	f.rows[suite] = rows
	return rows, nil
}

func (f *Follower) experiment(row row) (Experiment, error) {
	e := Experiment{
		ID: row.ID, Task: row.Task, Model: row.Model, Quantizer: row.Quantizer, Seed: row.Seed, Reason: row.Reason,
		Step: row.Steps, Best: row.BestValidation, Metric: row.Metric, Backends: len(row.Backends), Trained: row.Status == store.Done, Finished: row.FinishedAt,
	}
	if len(row.Provenance) > 0 {
		var made provenance.Experiment
		if err := json.Unmarshal(row.Provenance, &made); err != nil {
			return e, fmt.Errorf("the provenance of experiment %s: %w", row.ID, err)
		}
		e.Steps, e.Symbols = uint64(made.PlannedSteps), made.SymbolsPerStep
		for _, s := range made.Sittings {
			if s.Host != "" && !slices.Contains(e.Hosts, s.Host) {
				e.Hosts = append(e.Hosts, s.Host)
			}
		}
	}
	for _, d := range row.deployments {
		e.Deployed++
		if d.Status == store.Failed {
			e.Failures = append(e.Failures, Failure{d.Backend, d.Reason})
		}
	}
	if e.Trained {
		delete(f.curves, row.ID)
		if e.Deployed == e.Backends {
			e.Phase = Done // whoever may be busy with it
			return e, nil
		}
	}
	folder := f.runs.ExperimentDir(row.ID)
	holder, err := store.ReadHolder(folder)
	if err != nil {
		return e, err
	}
	e.Phase = phase(row.Experiment, holder.Alive())
	switch {
	case e.Phase == Queued && e.Trained:
		e.Reason = "trained, and not deployed on every backend yet"
	case e.Phase == Stopped:
		e.Reason = "its process has ended; run the suite again to go on from the last checkpoint"
	}
	if e.Trained {
		return e, nil
	}
	f.follow(&e, folder)
	return e, nil
}

// An experiment that trains and has written no step for a minute and for as long as 20 of
// its steps take is told of: a process on another host may be gone without a trace.
const (
	silence     = time.Minute
	silentSteps = 20
)

// follow adds what the files of the training steps say.
func (f *Follower) follow(e *Experiment, folder string) {
	c := f.curves[e.ID]
	if c == nil {
		c = new(curve)
		f.curves[e.ID] = c
	}
	err := c.read(folder)
	if err == nil {
		e.Validations, err = store.ReadValidations(folder)
	}
	if err != nil {
		delete(f.curves, e.ID) // to begin again with the first step
		e.Reason = err.Error()
		return
	}
	e.Losses = c.points()
	if c.count == 0 {
		return
	}
	e.Step, e.Loss, e.StepSeconds = c.last.Step+1, &c.last.Loss, c.seconds()
	if e.Phase == Training && e.Step == e.Steps {
		e.Phase = Testing
	}
	if last := c.follower.Written(); e.Phase == Training && time.Since(last) > silence+time.Duration(silentSteps*e.StepSeconds*float64(time.Second)) {
		e.Reason = fmt.Sprintf("no training step since %s: it may be validating, or its process may be gone", last.Format(time.DateTime))
		return
	}
	if e.Phase == Training && e.Steps > e.Step {
		e.Remaining = time.Duration(float64(e.Steps-e.Step) * e.StepSeconds * float64(time.Second))
	}
}
