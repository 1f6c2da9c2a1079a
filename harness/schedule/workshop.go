package schedule

import (
	"context"

	"bittern/harness/experiment"
	"bittern/internal/host"
	"bittern/plugins"
)

// Workshop makes experiments of jobs, with the data and the plugins of this machine. It keeps
// what it has loaded and asked for the next job. It is not safe for concurrent use.
type Workshop struct{ preparation *preparation }

// NewWorkshop makes a workshop with the plugins of a catalogue and a folder of data sets.
func NewWorkshop(catalogue *host.Catalogue, dataDir string) *Workshop {
	return &Workshop{newPreparation(catalogue, dataDir)}
}

// Spec is the experiment of a job. If this machine lacks data or a plugin for it, or has
// others than the job was made with, the [*plugins.Problem] says which.
func (w *Workshop) Spec(ctx context.Context, j experiment.Job) (*experiment.Spec, error) {
	training := &j.Task.Training
	training.CheckpointSteps, training.CheckpointSeconds = j.CheckpointSteps, j.CheckpointSeconds
	training.PaperStyleValidation = j.PaperStyleValidation
	loaded, err := w.preparation.load(ctx, j.Task)
	if err != nil {
		return nil, err
	}
	s := &experiment.Spec{Task: j.Task, Loaded: loaded, Seed: j.Seed, Threads: j.Threads, Freeze: j.Freeze}
	if s.Model, err = w.plugin(ctx, plugins.KindModel, j.Model); err != nil {
		return nil, err
	}
	if s.Quantizer, err = w.plugin(ctx, plugins.KindQuantizer, j.Quantizer); err != nil {
		return nil, err
	}
	for _, b := range j.Backends {
		plugin, err := w.plugin(ctx, plugins.KindBackend, b)
		if err != nil {
			return nil, err
		}
		s.Backends = append(s.Backends, plugin)
	}
	return s, j.Fits(s)
}

func (w *Workshop) plugin(ctx context.Context, kind plugins.Kind, p experiment.JobPlugin) (experiment.Plugin, error) {
	id := plugins.ID{Kind: kind, Name: p.Name}
	sum, err := w.preparation.catalogue.Checksum(ctx, id)
	if err != nil {
		return experiment.Plugin{}, err
	}
	if sum != p.SHA256 {
		return experiment.Plugin{}, plugins.Problemf("the executable of %s has SHA-256 %s on this machine and %s where the suite was started; put the same one on both", id, either(sum), either(p.SHA256))
	}
	description, err := w.preparation.describe(ctx, id, host.Settings{SHA256: p.SHA256, Environment: p.Environment, Limits: p.Limits})
	if err != nil {
		return experiment.Plugin{}, err
	}
	if description.Version != p.Version {
		return experiment.Plugin{}, plugins.Problemf("%s is version %s on this machine and %s where the suite was started; put the same one on both", id, description.Version, p.Version)
	}
	options, err := plugins.Resolve(id.String(), description.Options, p.Options)
	if err != nil {
		return experiment.Plugin{}, err
	}
	return experiment.Plugin{
		Label: p.Label, Name: p.Name, SHA256: p.SHA256, Environment: p.Environment, Limits: p.Limits,
		Options: options, Description: description,
	}, nil
}

// either is the beginning of a checksum, or says that the plugin is built in.
func either(sum string) string {
	const shown = 12
	if len(sum) < shown {
		return "none, for it is built in,"
	}
	return sum[:shown] + "…"
}
