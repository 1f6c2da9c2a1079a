package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bittern/harness/checkpoint"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/harness/task"
)

// train is one sitting: it trains from the last checkpoint to the end, freezes the network,
// and stores it packed. If the network is trained already, it only freezes it again.
func (r *Runner) train(ctx context.Context, spec *Spec, t task.Task, freeze json.RawMessage, row *store.Experiment, report func(Progress)) (err error) {
	report(Progress{Stage: Starting})
	log, closeLog := r.log(spec, row.ID)
	defer closeLog()
	var s *session
	if err := r.Quiet.compute(func() (err error) {
		s, err = start(ctx, r.Catalogue, r.Deadline, log, spec, t)
		return err
	}); err != nil {
		return err
	}
	defer func() { err = s.finish(err) }()
	defer s.arena.Guard(&err)()
	if err := r.Quiet.compute(func() error { return s.build(context.WithoutCancel(ctx)) }); err != nil {
		return err
	}
	f := r.saver(row.ID)
	var d *frozenNetwork
	var at position
	if r.Untrained {
		d, err = r.untrained(ctx, spec, s, row)
	} else {
		d, at, err = r.best(ctx, spec, s, f, row, report)
	}
	if err != nil {
		return err
	}
	if err := r.Quiet.compute(func() (err error) {
		if err := r.Storage.Journal.DropDeployments(context.WithoutCancel(ctx), row.ID); err != nil {
			return err
		}
		row.Artifact, err = r.Storage.Artifacts.Write(context.WithoutCancel(ctx), row.ID, d.network)
		return err
	}); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if !r.Untrained {
		row.PaperStyle, row.FrozenModel, row.FrozenLoss = &d.paperStyle.metric, &d.frozen.metric, &d.frozen.loss
		row.PaperStyleGroups, row.FrozenModelGroups = d.paperStyle.groups, d.frozen.groups
	}
	row.Freeze, row.Draws, row.CalibrationSequences = freeze, d.draws, d.calibration
	row.RecurrentBytes, row.DeployedBytes = d.recurrentBytes, d.network.Bytes()
	row.Status, row.FinishedAt = store.Done, time.Now()
	if err := contributed(row, at, row.FinishedAt); err != nil {
		return err
	}
	if err := r.Storage.Journal.PutExperiment(ctx, *row); err != nil {
		return err
	}
	return f.removeLast(ctx)
}

// best trains the network, unless it is, and freezes its best parameters, which at is of.
func (r *Runner) best(ctx context.Context, spec *Spec, s *session, f saver, row *store.Experiment, report func(Progress)) (d *frozenNetwork, at position, err error) {
	if row.Status == store.Done {
		err = r.sit(spec, row, row.Steps)
	} else {
		err = r.fit(ctx, spec, s, f, row, report)
	}
	if err != nil {
		return nil, at, err
	}
	report(Progress{Stage: Testing, Step: int(row.Steps), Steps: int(row.Steps), Best: row.BestValidation, Metric: spec.Loaded.Task.Metric()})
	at = position{Step: int(row.Steps), BestStep: int(row.BestStep), Best: row.BestValidation}
	if err := r.Quiet.compute(func() (err error) {
		if err := f.loadBest(ctx, s.tensors, at); err != nil {
			return err
		}
		d, err = s.freeze(ctx, spec.Freeze, int(row.BestStep))
		return err
	}); err != nil {
		return nil, at, err
	}
	return d, at, nil
}

// untrained freezes the network with its starting weights.
func (r *Runner) untrained(ctx context.Context, spec *Spec, s *session, row *store.Experiment) (d *frozenNetwork, err error) {
	err = r.Quiet.compute(func() error { return s.initialise(context.WithoutCancel(ctx)) })
	if err == nil {
		err = r.begin(ctx, spec, s, row, position{})
	}
	if err != nil {
		return nil, err
	}
	err = r.Quiet.compute(func() (err error) {
		d, err = s.untrained(ctx)
		return err
	})
	return d, err
}

// fit trains the network from its last checkpoint to the end of its recipe. Its
// best parameters are then in the folder, and the row says which they are.
func (r *Runner) fit(ctx context.Context, spec *Spec, s *session, f saver, row *store.Experiment, report func(Progress)) (err error) {
	f.saved = func(at position) error { return r.saved(context.WithoutCancel(ctx), row, at) }
	var at position
	if err := r.Quiet.compute(func() (err error) {
		if at, err = f.loadLast(ctx, s.tensors); errors.Is(err, checkpoint.ErrNone) {
			return s.initialise(context.WithoutCancel(ctx))
		}
		return err
	}); err != nil {
		return err
	}
	metrics, err := r.Storage.Journal.Metrics(ctx, row.ID, uint64(at.Step))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()

	if err := r.begin(ctx, spec, s, row, at); err != nil {
		return err
	}
	trainer, err := newTrainer(s, at, f, metrics, &r.Quiet, report)
	if err != nil {
		return err
	}
	if at.Step > 0 {
		report(Progress{Stage: Resuming, Step: at.Step, Steps: trainer.steps, Best: at.Best, Metric: spec.Loaded.Task.Metric()})
	}
	err = trainer.run(ctx)
	row.Steps, row.Epochs = uint64(trainer.at.Step), trainer.at.Epoch
	row.BestValidation, row.BestStep, row.TrainSeconds = trainer.at.Best, uint64(trainer.at.BestStep), trainer.at.Seconds
	if err != nil {
		return err
	}
	return r.Storage.Journal.PutExperiment(ctx, *row)
}

// begin stores that an experiment is running, with which plugins, data and machine.
func (r *Runner) begin(ctx context.Context, spec *Spec, s *session, row *store.Experiment, at position) error {
	if err := r.sit(spec, row, uint64(at.Step)); err != nil {
		return err
	}
	row.Status, row.Reason, row.Stderr = store.Running, "", ""
	row.Metric, row.Parameters = string(s.task.Metric()), s.tensors.size()
	row.Settings = nil
	for _, setting := range s.settings {
		row.Settings = append(row.Settings, store.Setting(setting))
	}
	if row.StartedAt.IsZero() {
		row.StartedAt = time.Now()
	}
	row.FinishedAt = time.Time{}
	return r.Storage.Journal.PutExperiment(ctx, *row)
}

// sit adds a new sitting, which begins after the given training step, to the experiment's
// provenance.
func (r *Runner) sit(spec *Spec, row *store.Experiment, step uint64) error {
	data, shape := spec.Loaded.Data, spec.Loaded.Task.Shape()
	perEpoch, symbols := spec.Loaded.Task.Training(spec.Seed, 0).Len(), 0
	for _, steps := range shape.Steps {
		symbols += shape.Sequences * steps
	}
	made := provenance.Experiment{
		Data: data.Name, SHA256: data.SHA256, Synthetic: data.Synthetic, Note: data.Note,
		Model: spec.Model.String(), Quantizer: spec.Quantizer.String(),
		StepsPerEpoch: perEpoch, PlannedSteps: spec.Task.Training.Planned(perEpoch), SymbolsPerStep: symbols,
	}
	if row.Provenance != nil {
		var before provenance.Experiment
		if err := json.Unmarshal(row.Provenance, &before); err != nil {
			return fmt.Errorf("the provenance of experiment %s: %w", row.ID, err)
		}
		made.Sittings = before.Sittings
	}
	made.Begin(provenance.Sitting{Machine: r.Machine, Host: r.Host, Threads: spec.Threads, Started: time.Now().UTC()}, step)
	text, err := json.Marshal(made)
	row.Provenance = text
	return err
}

// saved stores how far this sitting has come, after its checkpoint has been written.
func (r *Runner) saved(ctx context.Context, row *store.Experiment, at position) error {
	if err := contributed(row, at, time.Now()); err != nil {
		return err
	}
	row.Steps, row.Epochs = uint64(at.Step), at.Epoch
	row.BestValidation, row.BestStep, row.TrainSeconds = at.Best, uint64(at.BestStep), at.Seconds
	return r.Storage.Journal.PutExperiment(ctx, *row)
}

// contributed notes in the row's provenance how far its last sitting has come.
func contributed(row *store.Experiment, at position, when time.Time) error {
	var made provenance.Experiment
	if err := json.Unmarshal(row.Provenance, &made); err != nil {
		return fmt.Errorf("the provenance of experiment %s: %w", row.ID, err)
	}
	made.Saved(uint64(at.Step), when.UTC())
	text, err := json.Marshal(made)
	row.Provenance = text
	return err
}
