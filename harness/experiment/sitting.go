package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"bittern/harness/provenance"
	"bittern/harness/store"
)

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
