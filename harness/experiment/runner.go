// Package experiment runs one experiment: a task, a model, a quantizer and a seed, trained
// once, frozen, packed, and deployed on every backend.
//
// An experiment is deterministic: its numbers depend only on its settings, seed and thread
// count, however often it was interrupted. Random numbers are keyed by the step, and
// checkpoints hold everything that a step reads. Metrics of steps after the last checkpoint
// are dropped when the experiment goes on, and these steps are done again.
package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bittern/harness/provenance"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/internal/host"
	"bittern/plugins"
)

// maxRestarts bounds how often a lost plugin is started again for one experiment or
// deployment: enough for a stray kill, few enough that a plugin which always
// crashes is soon reported.
const maxRestarts = 2

// Runner runs experiments into a run store.
type Runner struct {
	Catalogue *host.Catalogue
	Storage   storage.Storage
	Machine   provenance.Machine
	Host      string        // name of this machine, where the run is elsewhere
	Deadline  time.Duration // of one call to a plugin; 0 = the host's default
	Again     bool          // train experiments afresh that are finished
	// Untrained has networks deployed with their starting weights, for what they cost: nothing
	// is trained or scored. Their results count as finished, so Storage must be one that is
	// thrown away.
	Untrained bool
	// Quiet keeps the experiments of this runner still while a backend times
	// this machine.
	Quiet Quiet
	// Log takes one line about something worth telling at once, such as a
	// plugin that is started again.
	Log     func(line string)
	Verbose bool // Log takes what the plugins print too
}

// Failed is a part of an experiment that could not be finished: its training, where
// Backend is empty, or one deployment.
type Failed struct {
	Backend string
	Failure
}

// Run does whatever of an experiment the store does not have yet. What fails by the fault
// of a plugin is returned as Failed. An error means that the run cannot go on: an interrupt
// (the cause of ctx's end) or a fault of the harness. If another process is running the
// experiment, the error is a [*store.Held] and nothing was done; call Run again later, and
// it uses what the other process stored.
func (r *Runner) Run(ctx context.Context, spec *Spec, report func(Progress)) (_ []Failed, err error) {
	fresh, err := spec.Row()
	if err != nil {
		return nil, err
	}
	release, err := r.Storage.Journal.Lock(ctx, fresh.ID)
	if err != nil {
		return nil, err
	}
	defer func() {
		if releasing := release(); releasing != nil {
			err = errors.Join(err, releasing)
		}
	}()
	if !r.Again { // which removes everything
		if err := errors.Join(r.Storage.Checkpoints.Sweep(ctx, fresh.ID), r.Storage.Artifacts.Sweep(ctx, fresh.ID)); err != nil {
			return nil, err
		}
	}
	row, err := r.row(ctx, spec) // only now: another may have finished it meanwhile
	if err != nil {
		return nil, err
	}
	if row.Status == store.Damaged && !r.Again {
		return nil, plugins.Problemf("the row of %s (experiment %s) in the run store is damaged; run the same command with --again to train it afresh", spec, row.ID)
	}
	if row.Status == store.Done && !r.Again {
		// A run that was killed at the very end may have left it.
		if err := r.saver(row.ID).removeLast(ctx); err != nil {
			return nil, err
		}
	}
	if r.Again {
		if err := r.forget(ctx, &row, spec); err != nil {
			return nil, err
		}
	}
	t := spec.Loaded.Task
	freeze, err := json.Marshal(spec.Freeze)
	if err != nil {
		return nil, err
	}
	frozen := string(row.Freeze) == string(freeze)
	if err := r.explain(ctx, spec, row, frozen); err != nil {
		return nil, err
	}
	if row.Status != store.Done || !frozen {
		err := r.restarting(spec.String(), func() error { return r.train(ctx, spec, t, freeze, &row, report) })
		if err := r.settle(ctx, &row, err); err != nil {
			return nil, err
		}
		if f, ok := errors.AsType[*Failure](err); ok {
			return []Failed{{Failure: *f}}, nil
		}
	}
	var failed []Failed
	scored := scores{}
	for i, backend := range spec.Backends {
		f, err := r.deployment(ctx, spec, t, row, backend, scored, func(done, of int) {
			report(Progress{Stage: Deploying, Step: i*of + done, Steps: len(spec.Backends) * of, Backend: backend.Label})
		})
		if err != nil {
			return failed, err
		}
		if f != nil {
			failed = append(failed, Failed{Backend: backend.Label, Failure: *f})
		}
	}
	return failed, nil
}

// explain tells the user which stored result is used, or why an experiment is trained
// although there is a result with the same labels. frozen says whether the stored freeze
// can be used too.
func (r *Runner) explain(ctx context.Context, spec *Spec, row store.Experiment, frozen bool) error {
	switch {
	case row.Status == store.Done && frozen:
		r.Log(fmt.Sprintf("%s: reusing the network that was trained on %s", spec, row.FinishedAt.Format(time.DateTime)))
		return nil
	case row.Status == store.Done:
		r.Log(fmt.Sprintf("%s: freezing the network that was trained on %s again, for the suite freezes in another way now", spec, row.FinishedAt.Format(time.DateTime)))
		return nil
	case !row.StartedAt.IsZero():
		return nil // Resuming says it
	}
	labelled, err := spec.Row() // the stored row may have the labels of another suite
	if err != nil {
		return err
	}
	twin, err := r.Storage.Journal.LastDone(ctx, labelled)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	why, err := differences(twin.Config, row.Config)
	if err != nil {
		return fmt.Errorf("the configuration of experiment %s: %w", twin.ID, err)
	}
	r.Log(fmt.Sprintf("%s: training anew, for the result of %s was made with another setting: %s", spec, twin.FinishedAt.Format(time.DateTime), why))
	return nil
}

// row finds the experiment in the store, or makes what will be its row.
func (r *Runner) row(ctx context.Context, spec *Spec) (store.Experiment, error) {
	row, err := spec.Row()
	if err != nil {
		return store.Experiment{}, err
	}
	stored, err := r.Storage.Journal.Experiment(ctx, row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return row, nil
	}
	return stored, err
}

// forget removes an experiment's results, checkpoints and deployments.
func (r *Runner) forget(ctx context.Context, row *store.Experiment, spec *Spec) error {
	fresh, err := spec.Row()
	if err != nil {
		return err
	}
	*row = fresh
	return r.Forget(ctx, fresh)
}

// Forget makes an experiment one that was never run: pending is its row. The caller has its
// lock.
func (r *Runner) Forget(ctx context.Context, pending store.Experiment) error {
	if err := r.Storage.Journal.Reset(ctx, pending); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return r.remove(ctx, pending.ID)
}

// remove deletes the checkpoints and the deployed network, so that training starts
// afresh. The metrics are cut when it does.
func (r *Runner) remove(ctx context.Context, id string) error {
	checkpoints, artifacts := r.Storage.Checkpoints, r.Storage.Artifacts
	return errors.Join(checkpoints.Remove(ctx, storage.Last, id), checkpoints.Remove(ctx, storage.Best, id), artifacts.Remove(ctx, id))
}

func (r *Runner) saver(id string) saver {
	return saver{Checkpoints: r.Storage.Checkpoints, id: id}
}

// log opens the log of an experiment's plugins. Close it when they have ended.
func (r *Runner) log(spec *Spec, id string) (log *pluginLog, closing func()) {
	log = &pluginLog{}
	if r.Storage.Logs != "" {
		log.folder = filepath.Join(r.Storage.Logs, id)
	}
	if r.Verbose {
		log.tell = func(plugin Plugin, line string) {
			r.Log(fmt.Sprintf("%s/%s (%s): %s", plugin.Description.Kind, plugin.Name, spec, line))
		}
	}
	return log, func() {
		if err := log.close(); err != nil {
			r.Log(fmt.Sprintf("what the plugins of experiment %s write is not all kept in its log: %s", id, err))
		}
	}
}

// restarting does work, and does it again if a plugin is lost, up to maxRestarts times.
func (r *Runner) restarting(what string, work func() error) error {
	for restart := 1; ; restart++ {
		err := work()
		f, ok := errors.AsType[*Failure](err)
		if !ok || !f.Transient || restart > maxRestarts {
			return err
		}
		r.Log(fmt.Sprintf("%s: %s; starting it again (%d of %d)", what, f.Reason, restart, maxRestarts))
	}
}

// settle stores how training ended, and returns the errors that end the whole run. A
// trained network stays done if only another freeze of it failed.
func (r *Runner) settle(ctx context.Context, row *store.Experiment, err error) error {
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*Failure](err)
	if row.Status == store.Done {
		if ok {
			return nil
		}
		return err
	}
	ctx = context.WithoutCancel(ctx)
	row.FinishedAt = time.Now()
	if !ok {
		row.Status = store.Pending // to be gone on with from its checkpoint
		return errors.Join(err, r.Storage.Journal.PutExperiment(ctx, *row))
	}
	row.Status, row.Reason, row.Stderr = store.Failed, f.Reason, f.Stderr
	return r.Storage.Journal.PutExperiment(ctx, *row)
}
