// Package experiment runs one experiment: a task, a model, a quantizer and a seed, trained
// once, frozen, packed, and deployed on every backend.
//
// An experiment is deterministic: its numbers depend on its settings, seed and thread
// count alone, however often it was interrupted. Random numbers are keyed by
// step, checkpoints hold everything that a step reads, and what is kept of a
// step beyond the last checkpoint is dropped before the step is done again.
package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bittern/harness/artifact"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins/host"
)

// maxRestarts bounds how often a lost plugin is started again for one experiment or
// deployment: enough for a stray kill, few enough that a plugin which always
// crashes is soon reported.
const maxRestarts = 2

// Runner runs experiments into a run store.
type Runner struct {
	Catalogue *host.Catalogue
	Store     *store.Store
	Machine   provenance.Machine
	Deadline  time.Duration // of one call to a plugin; 0 = the host's default
	Again     bool          // train experiments afresh that are finished
	// Log takes one line about something worth telling at once, such as a
	// plugin that is started again.
	Log func(line string)
}

// Failed is a part of an experiment that could not be finished: its training, where
// Backend is empty, or one deployment.
type Failed struct {
	Backend string
	Failure
}

// Run finishes an experiment: whatever of it the store does not hold yet. What plugins
// are to blame for comes back as Failed; an error means that the run cannot go
// on, by an interrupt (the cause of ctx's end) or a fault of the harness.
func (r *Runner) Run(ctx context.Context, spec *Spec, report func(Progress)) ([]Failed, error) {
	row, err := r.row(ctx, spec)
	if err != nil {
		return nil, err
	}
	if r.Again {
		if err := r.forget(ctx, &row, spec); err != nil {
			return nil, err
		}
	}
	t, err := spec.task()
	if err != nil {
		return nil, err
	}
	if row.Status != store.Done {
		err := r.restarting(spec.String(), func() error { return r.train(ctx, spec, t, &row, report) })
		if err := r.settle(ctx, &row, err); err != nil {
			return nil, err
		}
		if f, ok := errors.AsType[*Failure](err); ok {
			return []Failed{{Failure: *f}}, nil
		}
	}
	var failed []Failed
	for i, backend := range spec.Backends {
		f, err := r.deployment(ctx, spec, t, row, backend, func(done, of int) {
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

// row finds the experiment in the store, or makes what will be its row.
func (r *Runner) row(ctx context.Context, spec *Spec) (store.Experiment, error) {
	row, err := spec.Row()
	if err != nil {
		return store.Experiment{}, err
	}
	stored, err := r.Store.Experiment(ctx, row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return row, nil
	}
	return stored, err
}

// forget gives up everything that is known of an experiment.
func (r *Runner) forget(ctx context.Context, row *store.Experiment, spec *Spec) (err error) {
	if row.StartedAt.IsZero() {
		return nil
	}
	if err := r.Store.Reset(ctx, row.ID); err != nil {
		return err
	}
	if err := r.folder(row.ID).remove(); err != nil {
		return err
	}
	*row, err = spec.Row()
	return err
}

func (r *Runner) folder(id string) folder {
	return folder{path: r.Store.ExperimentDir(id), id: id}
}

// restarting does work again while plugins are lost in it.
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

// settle stores how training ended. It passes on what ends the whole run.
func (r *Runner) settle(ctx context.Context, row *store.Experiment, err error) error {
	if err == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	row.FinishedAt = time.Now()
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		row.Status = store.Pending // to be gone on with from its checkpoint
		return errors.Join(err, r.Store.PutExperiment(ctx, *row))
	}
	row.Status, row.Reason, row.Stderr = store.Failed, f.Reason, f.Stderr
	return r.Store.PutExperiment(ctx, *row)
}

// train is one sitting: it goes on from the last checkpoint to the finished,
// stored and packed network.
func (r *Runner) train(ctx context.Context, spec *Spec, t task.Task, row *store.Experiment, report func(Progress)) (err error) {
	report(Progress{Stage: Starting})
	s, err := start(ctx, r.Catalogue, r.Deadline, spec, t)
	if err != nil {
		return err
	}
	defer func() { err = s.finish(err) }()
	if err := s.build(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	f := r.folder(row.ID)
	at, err := f.loadLast(s.tensors)
	if err != nil {
		return err
	}
	metrics, err := store.OpenSteps(f.path, uint64(at.Step))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()

	if err := r.begin(ctx, spec, s, row); err != nil {
		return err
	}
	trainer := newTrainer(s, at, f, metrics, report)
	if at.Step > 0 {
		report(Progress{Stage: Resuming, Step: at.Step, Steps: trainer.steps, Best: at.Best})
	}
	err = trainer.run(ctx)
	row.Steps, row.Epochs = uint64(trainer.at.Step), trainer.at.Epoch
	row.BestValidation, row.TrainSeconds = trainer.at.Best, trainer.at.Seconds
	if err != nil {
		return err
	}
	if err := r.Store.PutExperiment(ctx, *row); err != nil {
		return err
	}

	report(Progress{Stage: Testing, Step: trainer.at.Step, Steps: trainer.at.Step, Best: trainer.at.Best})
	if err := f.loadBest(s.tensors); err != nil {
		return err
	}
	d, err := s.freeze(ctx, trainer.at)
	if err != nil {
		return err
	}
	if err := artifact.Write(f.artifact(), d.network); err != nil {
		return err
	}
	row.PaperStyle, row.FrozenModel = &d.paperStyle, &d.frozen
	row.RecurrentBytes, row.DeployedBytes = d.recurrentBytes, d.network.Bytes()
	row.Status, row.FinishedAt = store.Done, time.Now()
	if err := r.Store.PutExperiment(context.WithoutCancel(ctx), *row); err != nil {
		return err
	}
	return f.removeLast()
}

// begin stores that an experiment is being run, and what with.
func (r *Runner) begin(ctx context.Context, spec *Spec, s *session, row *store.Experiment) error {
	text, err := json.Marshal(provenance.Experiment{
		Machine: r.Machine, Threads: spec.Threads,
		Corpus: spec.Corpus.Name, SHA256: spec.Corpus.SHA256, Synthetic: spec.Corpus.Synthetic, Note: spec.Corpus.Note,
		Model: spec.Model.String(), Quantizer: spec.Quantizer.String(),
	})
	if err != nil {
		return err
	}
	row.Status, row.Reason, row.Stderr = store.Running, "", ""
	row.Metric, row.Parameters, row.Provenance = string(s.task.Metric()), s.tensors.size(), text
	if row.StartedAt.IsZero() {
		row.StartedAt = time.Now()
	}
	row.FinishedAt = time.Time{}
	return r.Store.PutExperiment(ctx, *row)
}

// deployment runs a finished experiment on one backend, unless the store holds what
// came of it.
func (r *Runner) deployment(ctx context.Context, spec *Spec, t task.Task, row store.Experiment, backend Plugin, report func(done, of int)) (*Failure, error) {
	config, err := json.Marshal(backend.config())
	if err != nil {
		return nil, err
	}
	known, err := r.Store.Deployments(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range known {
		if d.Backend == backend.Label && string(d.Config) == string(config) && d.Status != store.Failed {
			return nil, nil
		}
	}
	made, err := json.Marshal(provenance.Deployment{Machine: r.Machine, Backend: backend.String()})
	if err != nil {
		return nil, err
	}
	d := store.Deployment{Experiment: row.ID, Backend: backend.Label, Config: config, Provenance: made}
	var o outcome
	err = r.restarting(spec.String()+" on "+backend.Label, func() (err error) {
		o, err = r.deploy(ctx, r.folder(row.ID), t, backend, report)
		return err
	})
	f, ok := errors.AsType[*Failure](err)
	switch {
	case ok:
		d.Status, d.Reason, d.Stderr = store.Failed, f.Reason, f.Stderr
	case err != nil:
		return nil, err
	default:
		o.into(&d)
	}
	return f, r.Store.PutDeployment(context.WithoutCancel(ctx), d)
}

func (r *Runner) deploy(ctx context.Context, f folder, t task.Task, plugin Plugin, report func(done, of int)) (_ outcome, err error) {
	network, err := artifact.Read(f.artifact())
	if err != nil {
		return outcome{}, failure(err)
	}
	process, err := r.Catalogue.Backend(ctx, plugin.Name, plugin.settings(nil, r.Deadline))
	if err != nil {
		return outcome{}, failure(err)
	}
	defer func() {
		err = errors.Join(err, process.Close())
		if f, ok := errors.AsType[*Failure](err); ok {
			f.Stderr = process.Stderr() // complete only now, as in session.finish
		}
	}()
	return deploy(ctx, process, plugin, network, t, report)
}

// into fills the row of a deployment that did not fail.
func (o outcome) into(d *store.Deployment) {
	d.Status, d.Reason, d.Metric = store.Done, o.missing, o.score
	if o.cost == nil {
		if o.score == nil {
			d.Status = store.Unsupported
		}
		return
	}
	d.Cost = &store.Cost{
		Cycles: o.cost.Cycles, Seconds: o.cost.Seconds, Area: o.cost.Area,
		Measured: o.cost.Measured, N: o.cost.N, Missing: o.cost.Missing, Notes: o.cost.Notes,
	}
	for _, s := range o.cost.Substitutions {
		d.Cost.Substitutions = append(d.Cost.Substitutions, store.Substitution(s))
	}
	for _, part := range o.cost.Energy {
		d.Cost.Energy = append(d.Cost.Energy, store.Part(part))
	}
	for _, part := range o.cost.Memory {
		d.Cost.Memory = append(d.Cost.Memory, store.Part(part))
	}
}
