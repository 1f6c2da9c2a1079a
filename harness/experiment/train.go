package experiment

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// position is where training stands. It is saved with every checkpoint;
// together with the tensors it determines everything that follows.
type position struct {
	Step     int      `json:"step"`    // training steps done
	Epoch    int      `json:"epoch"`   // epochs done
	Updates  uint64   `json:"updates"` // since the optimiser's moments were last zero
	Best     *float64 `json:"best"`    // validation score of the best parameters so far
	BestStep int      `json:"best_step"`
	Stale    int      `json:"stale"` // validations since then
	Rises    int      `json:"rises"` // validations in all that were no better than the best before them
	Due      bool     `json:"due"`   // the validation after Step is still to be done
	Finished bool     `json:"finished"`
	Seconds  float64  `json:"seconds"` // spent training, over all sittings
}

// trainer is the training loop of one experiment.
type trainer struct {
	*session
	at      position
	steps   int // planned in all
	perPass int // steps of an epoch
	epoch   int // that batches are of
	batches task.Batches
	started time.Time // of this sitting
	saved   time.Time
	saves   background
	metrics storage.Metrics
	quiet   *Quiet
	report  func(Progress)
}

func newTrainer(s *session, at position, f saver, metrics storage.Metrics, quiet *Quiet, report func(Progress)) (*trainer, error) {
	training := s.spec.Task.Training
	debug.FreeOSMemory() // what loading the data has left is not needed again
	snapshot, err := newSnapshot(s.arena, s.tensors)
	if err != nil {
		return nil, err
	}
	s.beforeUpdate = snapshot.finish
	now := time.Now()
	t := &trainer{session: s, at: at, saves: background{saver: f, metrics: metrics, snapshot: snapshot}, metrics: metrics, quiet: quiet, report: report, started: now, saved: now}
	t.perPass = s.task.Training(s.spec.Seed, 0).Len()
	t.steps = training.Planned(t.perPass)
	return t, nil
}

// run trains until the recipe is fulfilled or validation no longer improves.
// When ctx is done it finishes the step, saves and returns the cause. All that it has saved is
// stored when it returns.
func (t *trainer) run(ctx context.Context) (err error) {
	defer func() {
		if saving := t.saves.wait(); saving != nil {
			err = errors.Join(err, saving)
		}
		t.saves.snapshot.release()
		debug.FreeOSMemory()
	}()
	for !t.at.Finished {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), t.save(ctx, nil))
		}
		if err := t.quiet.compute(func() error { return t.proceed(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// proceed does what is next: a validation that is due, or a training step.
func (t *trainer) proceed(ctx context.Context) error {
	if t.at.Due {
		err := t.validate(ctx)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // the interrupt is run's to tell; the validation stays due
		}
		return err
	}
	if epoch := t.at.Step / t.perPass; t.batches == nil || epoch != t.epoch {
		t.epoch, t.batches = epoch, t.task.Training(t.spec.Seed, epoch)
	}
	// A step that has begun is finished: half an update is no state to resume
	// from.
	if err := t.step(context.WithoutCancel(ctx), t.batches, t.epoch); err != nil {
		return err
	}
	t.at.Due = t.validationDue()
	busy, err := t.saves.busy()
	if err == nil && !t.at.Due && t.checkpointDue(busy) {
		err = t.save(ctx, nil)
	}
	return err
}

func (t *trainer) step(ctx context.Context, batches task.Batches, epoch int) error {
	started := time.Now()
	training := t.spec.Task.Training
	number := t.at.Step
	batch := number % t.perPass
	if err := batches.Fill(batch, t.tensors.batch); err != nil {
		return err
	}
	if t.restartsMoments(epoch, batch) {
		if err := t.beforeUpdate(); err != nil {
			return err
		}
		t.tensors.resetMoments()
		t.at.Updates = 0
	}
	rate := training.Rate(number, t.steps, t.at.Rises)
	loss, gradNorm, err := t.advance(ctx, uint64(number), model.Update{Number: t.at.Updates + 1, LearningRate: rate, ClipNorm: training.ClipNorm})
	if err != nil {
		return err
	}
	t.at.Step++
	t.at.Epoch = t.at.Step / t.perPass
	t.at.Updates++
	seconds := time.Since(started).Seconds()
	t.at.Seconds += seconds
	t.report(Progress{
		Stage: Training, Step: t.at.Step, Steps: t.steps, Loss: loss, Speed: float64(t.task.Shape().TargetCount()) / seconds,
		Best: t.at.Best, Metric: t.task.Metric(),
	})
	return t.metrics.Append(store.Step{
		Step: uint64(number), Epoch: epoch, Loss: loss, GradNorm: gradNorm, LearningRate: rate, Seconds: seconds,
	})
}

// advance is one training step on the batch in the input tensors: draw the
// weights, find the gradient, move the latent weights. gradNorm is the one that
// clipping went by.
func (s *session) advance(ctx context.Context, number uint64, update model.Update) (loss, gradNorm float64, err error) {
	clear(s.evaluated)
	draw := quantizer.Draw{Seed: s.spec.Seed, Step: number}
	if err := s.quantizer.Quantize(ctx, draw); err != nil {
		return 0, 0, failure(err)
	}
	step, err := s.model.Step(ctx, model.Step{Number: number})
	if err != nil {
		return 0, 0, failure(err)
	}
	if s.spec.Quantizer.Has(quantizer.TraitBackward) {
		request := quantizer.Backward{Draw: draw, LearningRate: update.LearningRate, Update: update.Number}
		if err := s.quantizer.Backward(ctx, request); err != nil {
			return 0, 0, failure(err)
		}
	}
	if s.beforeUpdate != nil {
		if err := s.beforeUpdate(); err != nil {
			return 0, 0, err
		}
	}
	updated, err := s.model.Update(ctx, update)
	if err != nil {
		return 0, 0, failure(err)
	}
	if s.spec.Quantizer.Has(quantizer.TraitProject) {
		if err := s.quantizer.Project(ctx); err != nil {
			return 0, 0, failure(err)
		}
	}
	return step.Loss, updated.GradNorm, nil
}

func (t *trainer) restartsMoments(epoch, batch int) bool {
	training := t.spec.Task.Training
	if batch == 0 {
		return epoch > 0 && training.ResetMomentsEpoch
	}
	return training.ResetMomentsEvery > 0 && batch%training.ResetMomentsEvery == 0
}

func (t *trainer) validationDue() bool {
	every := t.spec.Task.Training.ValidateEvery
	if every == 0 {
		every = t.perPass
	}
	return t.at.Step%every == 0 || t.at.Step >= t.steps
}

// validate scores the network and saves it. What selects the best network is
// what will be reported of it, the deployable score: weights drawn once as a
// freeze draws them, statistics gathered over training batches and frozen. If the suite
// asks for it, the paper-style score is recorded beside it and decides nothing. All of that has the
// arithmetic of training, while what is reported is of float32.
//
// The best network is saved before the position that refers to it. A run that is killed
// between the two does this validation again and writes the same bytes.
func (t *trainer) validate(ctx context.Context) error {
	started := time.Now()
	t.report(Progress{Stage: Validating, Step: t.at.Step, Steps: t.steps, Best: t.at.Best, Metric: t.task.Metric()})
	found := store.Validation{Step: uint64(t.at.Step)}
	training := t.spec.Task.Training
	if training.PaperStyleValidation {
		paperStyle, err := t.sampled(ctx, task.Valid, training.Arithmetic, forValidation, t.at.Step)
		if err != nil {
			return err
		}
		found.PaperStyle = &paperStyle.metric
	}
	// The snapshot shares the statistics, and its memory is needed for the codes.
	if err := t.saves.release(); err != nil {
		return err
	}
	debug.FreeOSMemory()
	if _, err := t.fixWeights(ctx, deploymentDraw(t.spec.Seed, 0)); err != nil {
		return err
	}
	debug.FreeOSMemory() // the codes, of which only the weights that they stand for are needed
	if _, err := t.calibrate(ctx, training.ValidationCalibration, training.Arithmetic); err != nil {
		return err
	}
	deployable, err := t.frozen(ctx, task.Valid, training.Arithmetic)
	if err != nil {
		return err
	}
	found.Deployable = deployable.metric
	if err := t.metrics.AppendValidation(found); err != nil {
		return err
	}
	t.at.Seconds += time.Since(started).Seconds()
	t.at.Due = false
	var best *position
	if t.at.Best == nil || t.task.Metric().Better(deployable.metric, *t.at.Best) {
		t.at.Best, t.at.BestStep, t.at.Stale = &deployable.metric, t.at.Step, 0
		at := t.at
		best = &at
	} else {
		t.at.Stale++
		t.at.Rises++
	}
	t.at.Finished = t.at.Step >= t.steps || training.Patience > 0 && t.at.Stale >= training.Patience
	return t.save(ctx, best)
}

// checkpointDue says whether it is time for a checkpoint. One that is due by the clock comes
// later while the one before it is being saved: training does not wait for that.
func (t *trainer) checkpointDue(saving bool) bool {
	training := t.spec.Task.Training
	if training.CheckpointSteps > 0 && t.at.Step%training.CheckpointSteps == 0 {
		return true
	}
	longest := time.Duration(training.CheckpointSeconds) * time.Second
	return longest > 0 && !saving && time.Since(t.saved) >= checkpointGap(t.saved.Sub(t.started), longest)
}

// firstCheckpoint is how far into a sitting the first checkpoint is due.
const firstCheckpoint = 5 * time.Second

// checkpointGap is the time until the next checkpoint, if the last one was saved so long
// after the sitting began. It is the same time again, so that a kill loses at most half of
// a short sitting, but at most the longest gap that the suite allows.
func checkpointGap(saved, longest time.Duration) time.Duration {
	return min(max(saved, firstCheckpoint), longest)
}

// save begins to save where training stands, and the best network if that is new.
func (t *trainer) save(ctx context.Context, best *position) error {
	t.saved = time.Now()
	return t.saves.save(context.WithoutCancel(ctx), best, t.at)
}
