package experiment

import (
	"context"
	"errors"
	"time"

	"bittern/harness/artifact"
	"bittern/harness/storage"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins/model"
)

// Trial is an experiment's plugins at work for timing: the same processes, tensors
// and calls as in training, with nothing stored.
type Trial struct {
	session *session
	batches task.Batches
	steps   uint64
}

// OpenTrial starts the plugins of spec on a task, which need not be the one
// that spec names.
func OpenTrial(ctx context.Context, catalogue *host.Catalogue, deadline time.Duration, spec *Spec, t task.Task) (*Trial, error) {
	s, err := start(ctx, catalogue, deadline, nil, spec, t)
	if err != nil {
		return nil, err
	}
	calls := context.WithoutCancel(ctx)
	if err := s.build(calls); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.initialise(calls); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &Trial{session: s, batches: t.Training(spec.Seed, 0)}, nil
}

// Step does one training step and returns how long it took.
func (t *Trial) Step(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	if err := t.batches.Fill(int(t.steps)%t.batches.Len(), t.session.tensors.batch); err != nil {
		return 0, err
	}
	training := t.session.spec.Task.Training
	update := model.Update{Number: t.steps + 1, LearningRate: training.LearningRate, ClipNorm: training.ClipNorm}
	if _, _, err := t.session.advance(ctx, t.steps, update); err != nil {
		return 0, err
	}
	t.steps++
	return time.Since(started), nil
}

// Saves saves checkpoints of a trial, as those of a training are saved.
type Saves struct {
	background
	close func() error
}

// Checkpoints has the trial save checkpoints in a place that is thrown away.
func (t *Trial) Checkpoints(ctx context.Context, s storage.Storage) (*Saves, error) {
	const id = "trial"
	metrics, err := s.Journal.Metrics(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	snapshot, err := newSnapshot(t.session.arena, t.session.tensors)
	if err != nil {
		return nil, errors.Join(err, metrics.Close())
	}
	t.session.beforeUpdate = snapshot.finish
	return &Saves{background{saver: saver{Checkpoints: s.Checkpoints, id: id}, metrics: metrics, snapshot: snapshot}, metrics.Close}, nil
}

// Save begins a checkpoint. A training would wait until it returns.
func (s *Saves) Save(ctx context.Context) error { return s.save(ctx, nil, position{}) }

// Busy says whether a checkpoint is being saved.
func (s *Saves) Busy() (bool, error) { return s.busy() }

// Close waits until the checkpoint that is being saved is.
func (s *Saves) Close() error { return errors.Join(s.wait(), s.close()) }

// Evaluate scores the batch of the last step with the statistics of each batch, and returns how
// long it took. A validation has the arithmetic of training.
func (t *Trial) Evaluate(ctx context.Context, arithmetic model.Arithmetic) (time.Duration, error) {
	started := time.Now()
	_, err := t.session.model.Evaluate(ctx, model.Evaluate{Statistics: model.Batch, Arithmetic: arithmetic})
	return time.Since(started), failure(err)
}

// Network freezes the network as it stands, with the statistics of some training
// batches.
func (t *Trial) Network(ctx context.Context, batches int) (artifact.Network, error) {
	weights, err := t.session.fixWeights(ctx, deploymentDraw(t.session.spec.Seed, 0))
	if err != nil {
		return artifact.Network{}, err
	}
	if _, err := t.session.calibrate(ctx, batches, model.Float32); err != nil {
		return artifact.Network{}, err
	}
	return t.session.export(ctx, weights)
}

// Processes lists the process IDs of the plugins.
func (t *Trial) Processes() []int {
	return []int{t.session.modelProcess.Pid(), t.session.quantizerProcess.Pid()}
}

// Close ends the plugins.
func (t *Trial) Close() error { return t.session.close() }
