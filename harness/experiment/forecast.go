package experiment

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"bittern/harness/artifact"
	"bittern/harness/internal/memory"
	"bittern/harness/task"
	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
)

// Forecast is an estimate of the time, memory and disk that a whole experiment takes on
// this machine. It comes from a short calibration: some training steps, the scoring of one
// batch, and a few time steps of one batch on each backend.
type Forecast struct {
	Steps  int     // of training
	Epochs float64 // that those are
	Step   time.Duration
	N      int // training steps of which Step is the median

	Training  time.Duration
	Scoring   time.Duration // validations, calibrations and the freeze, with all its draws
	Deploying time.Duration // on all backends
	Timed     time.Duration // of Deploying: on backends that time themselves, see [Spec.Untimed]

	Memory *int64 // bytes, at most at a time; nil where the system does not tell
	Disk   int64  // bytes
}

// Time returns the time that the whole experiment takes.
func (f Forecast) Time() time.Duration { return f.Training + f.Scoring + f.Deploying }

// The timing of training steps ends when one of these limits is reached. The first step is
// slower than others, because caches are cold and memory is new; it counts only if there is
// no time for a second.
const (
	calibrationTime  = 2 * time.Second
	calibrationSteps = 21
)

// Forecaster calibrates experiments.
type Forecaster struct {
	Catalogue *host.Catalogue
	Deadline  time.Duration // of one call to a plugin; 0 = the host's default
}

// StepTime is the median time of a training step, over timed ones.
func (f *Forecaster) StepTime(ctx context.Context, spec *Spec) (median time.Duration, timed int, err error) {
	trial, err := OpenTrial(ctx, f.Catalogue, f.Deadline, spec, spec.Loaded.Task)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	return trial.timeSteps(ctx)
}

func (t *Trial) timeSteps(ctx context.Context) (median time.Duration, timed int, err error) {
	first, err := t.Step(ctx)
	if err != nil {
		return 0, 0, err
	}
	if first >= calibrationTime {
		return first, 1, nil
	}
	var all []time.Duration
	for started := time.Now(); len(all) == 0 || len(all) < calibrationSteps && time.Since(started) < calibrationTime; {
		if err := ctx.Err(); err != nil {
			return 0, 0, context.Cause(ctx)
		}
		one, err := t.Step(ctx)
		if err != nil {
			return 0, 0, err
		}
		all = append(all, one)
	}
	slices.Sort(all)
	return all[len(all)/2], len(all), nil
}

// StepsWithin is how many training steps a budget of time has room for.
func StepsWithin(budget, step time.Duration) int { return int(budget / max(1, step)) }

// Forecast estimates an experiment with its backends. With a budget, the experiment is
// taken to train as many steps as fit into it, and at least one; 0 is no budget. If a
// plugin fails, the error is a *Failure.
func (f *Forecaster) Forecast(ctx context.Context, spec *Spec, budget time.Duration) (_ Forecast, err error) {
	t := spec.Loaded.Task
	trial, err := OpenTrial(ctx, f.Catalogue, f.Deadline, spec, t)
	if err != nil {
		return Forecast{}, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	var out Forecast
	if out.Step, out.N, err = trial.timeSteps(ctx); err != nil {
		return Forecast{}, err
	}
	perPass := t.Training(spec.Seed, 0).Len()
	out.Steps = spec.Task.Training.Planned(perPass)
	if budget > 0 {
		out.Steps = min(out.Steps, max(1, StepsWithin(budget, out.Step)))
	}
	out.Epochs = float64(out.Steps) / float64(perPass)
	out.Training = time.Duration(out.Steps) * out.Step

	validating, err := trial.timeEvaluation(ctx, spec.Task.Training.Arithmetic)
	if err != nil {
		return Forecast{}, err
	}
	scoring, err := trial.timeEvaluation(ctx, model.Float32)
	if err != nil {
		return Forecast{}, err
	}
	draws, err := trial.draws(ctx)
	if err != nil {
		return Forecast{}, err
	}
	validations, freeze := scoredBatches(spec, out.Steps, perPass, draws, trial.session.tensors.hasStatistics())
	out.Scoring = validating*time.Duration(validations) + scoring*time.Duration(freeze)

	resident, err := trial.memory()
	if err != nil {
		return Forecast{}, err
	}
	n, err := trial.Network(ctx, 1)
	if err != nil {
		return Forecast{}, err
	}
	out.Disk = 2*trial.session.tensors.bytes() + n.Bytes()
	executed := map[computation]bool{}
	for _, plugin := range spec.Backends {
		took, deployed, err := f.deployment(ctx, plugin, n, t, executed)
		if err != nil {
			return Forecast{}, err
		}
		out.Deploying += took
		if plugin.Has(backend.TraitTimed) {
			out.Timed += took
		}
		resident = max(resident, deployed)
	}
	if resident > 0 {
		out.Memory = &resident
	}
	return out, nil
}

// scoredBatches counts the batches that are run forward only: at each validation the
// validation part, twice if it is scored in the paper's way too, and the calibration batches; at
// the end the test part, and for each draw the calibration batches and both parts. A quantizer that
// does not draw has one draw, and without statistics besides each part is run once for the same
// network and arithmetic.
func scoredBatches(spec *Spec, steps, perPass int, draws, statistics bool) (validations, freeze int) {
	training := spec.Task.Training
	valid, test := spec.Loaded.Task.Evaluation(task.Valid).Len(), spec.Loaded.Task.Evaluation(task.Test).Len()
	every := training.ValidateEvery
	if every == 0 {
		every = perPass
	}
	validations = (steps + every - 1) / every
	if !draws && !statistics {
		again := 1 // of a network that the last validation may not have scored, or not with float32
		if validations <= 1 && training.Arithmetic.IsZero() {
			again = 0
		}
		return validations * valid, again*valid + test
	}
	calibration := func(batches int) int {
		if !statistics {
			return 0
		}
		return min(batches, perPass)
	}
	frozen := 1
	if draws {
		frozen = spec.Freeze.Draws
	}
	scores := 1
	if training.PaperStyleValidation {
		scores = 2
	}
	return validations * (scores*valid + calibration(training.ValidationCalibration)),
		test + frozen*(calibration(spec.Freeze.CalibrationBatches)+valid+test)
}

// draws says whether the quantizer draws weights: other ones in the next step.
func (t *Trial) draws(ctx context.Context) (bool, error) {
	var drawn [2]uint64
	for i := range drawn {
		if err := t.session.quantizer.Quantize(ctx, quantizer.Draw{Seed: t.session.spec.Seed, Step: t.steps + uint64(i)}); err != nil {
			return false, failure(err)
		}
		drawn[i] = t.session.tensors.fingerprint(model.Batch)
	}
	return drawn[0] != drawn[1], nil
}

// timeEvaluation scores the batch at hand and returns the shortest of its times.
func (t *Trial) timeEvaluation(ctx context.Context, arithmetic model.Arithmetic) (shortest time.Duration, err error) {
	for i := range repeated {
		took, err := t.Evaluate(ctx, arithmetic)
		if err != nil {
			return 0, err
		}
		if i == 0 || took < shortest {
			shortest = took
		}
	}
	return shortest, nil
}

// memory is the memory of the plugins and the tensors in bytes; 0 if the system does not
// tell.
func (t *Trial) memory() (int64, error) {
	sum := t.session.tensors.bytes() + bytesOf(t.session.tensors.resumed()) // the snapshot for checkpoints
	for _, pid := range t.Processes() {
		private, err := memory.Private(pid)
		if err != nil {
			return 0, ignoreMissing(err)
		}
		sum += private
	}
	return sum, nil
}

// ignoreMissing takes away the error of a system that has no /proc.
func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// A backend is timed on these numbers of time steps of a batch, one after the other, until
// one of them takes long enough to be measured.
var (
	deployedSteps = []int{1, 8}
	enough        = 200 * time.Millisecond
)

// repeated is how often they are timed; the shortest time counts. A moment in which the machine
// did something else would be taken as many times as there are time steps in the data.
const repeated = 2

// deployment times a network on a backend: a few time steps of one batch, and the
// sequences that a timed machine times for its cost. An arithmetic that another backend
// has executed costs nothing more.
func (f *Forecaster) deployment(ctx context.Context, plugin Plugin, n artifact.Network, t task.Task, executed map[computation]bool) (took time.Duration, resident int64, err error) {
	room, err := arena.Create("", 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	b, err := f.Catalogue.Backend(ctx, plugin.Name, plugin.settings(room, f.Deadline, nil))
	if err != nil {
		return 0, 0, failure(err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var cannot *backend.ErrUnsupported
	deployed, err := b.Deploy(ctx, backend.Deploy{Options: plugin.Options, Network: n.Program, Weights: n.Weights})
	if errors.As(err, &cannot) {
		return 0, 0, nil // it will be n/a, which takes no time
	} else if err != nil {
		return 0, 0, failure(err)
	}
	if computes, ok := sharable(plugin, deployed); ok {
		if executed[computes] {
			resident, err = memory.Private(b.Pid())
			return 0, resident, ignoreMissing(err)
		}
		executed[computes] = true
	}

	shape := t.Shape()
	whole, batches := shape.Allocate(), t.Evaluation(task.Test)
	if err := batches.Fill(0, whole); err != nil {
		return 0, 0, err
	}
	var short network.Shape
	var one time.Duration
	for _, steps := range deployedSteps {
		if one >= enough {
			break
		}
		short = shortened(shape, steps)
		cut := short.Allocate()
		cutShort(cut, whole, short)
		for i := range repeated {
			started := time.Now()
			if _, err := b.Execute(ctx, backend.Execute{Batch: cut}); err != nil && !errors.As(err, &cannot) {
				return 0, 0, failure(err)
			}
			if took := time.Since(started); i == 0 || took < one {
				one = took
			}
		}
	}
	scale := float64(total(shape.Steps)) / float64(total(short.Steps)) * float64(batches.Len())
	took = time.Duration(float64(one) * scale)
	if plugin.Has(backend.TraitTimed) {
		started := time.Now()
		if _, err := b.Cost(ctx, backend.CostRequest{Steps: short.Steps}); err != nil && !errors.As(err, &cannot) {
			return 0, 0, failure(err)
		}
		took += time.Duration(float64(time.Since(started)) * float64(total(t.Steps())) / float64(total(short.Steps)))
	}
	resident, err = memory.Private(b.Pid())
	return took, resident, ignoreMissing(err)
}

// shortened is a shape whose streams have at most so many time steps.
func shortened(shape network.Shape, steps int) network.Shape {
	short := shape
	short.Steps = map[string]int{}
	for stream, all := range shape.Steps {
		short.Steps[stream] = min(all, steps)
	}
	return short
}

// cutShort copies into dst as many time steps of a batch as dst's shape has, the first
// ones: tensors are laid out time-major and begin with them.
func cutShort(dst, batch network.Batch, shape network.Shape) {
	for name, values := range dst.Float32 {
		copy(values, batch.Float32[name])
	}
	for _, in := range shape.Inputs {
		values := dst.Int32[in.Name]
		copy(values, batch.Int32[in.Name])
		if in.Role == network.Lengths {
			for i, n := range values {
				values[i] = min(n, int32(shape.Steps[in.Stream]))
			}
		}
	}
	copy(dst.Fresh, batch.Fresh)
	copy(dst.Targets, batch.Targets)
}

func total(steps map[string]int) (sum int) {
	for _, n := range steps {
		sum += n
	}
	return sum
}
