package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bittern/harness/task"
	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// session is one sitting of an experiment: its two plugin processes, opened on the
// tensors they share with the harness.
type session struct {
	spec *Spec
	task task.Task

	model            model.Model
	modelProcess     process
	quantizer        quantizer.Quantizer
	quantizerProcess process

	arena    *arena.Arena
	tensors  *tensors
	settings []model.Setting // of the model's plan

	evaluated    map[evaluation]scored // since the weights moved
	beforeUpdate func() error          // what has to be done before parameters or moments change; nil if nothing
}

// start starts the plugins of an experiment. What they print goes to the log, if there is
// one. They are given work by plan and build.
func start(ctx context.Context, catalogue *host.Catalogue, deadline time.Duration, log *pluginLog, spec *Spec, t task.Task) (_ *session, err error) {
	s := &session{spec: spec, task: t}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.arena, err = arena.Create("", 0); err != nil {
		return nil, err
	}
	err = together(func() error {
		m, err := catalogue.Model(ctx, spec.Model.Name, spec.Model.settings(s.arena, deadline, log))
		if err == nil {
			s.model, s.modelProcess = m, m
		}
		return err
	}, func() error {
		q, err := catalogue.Quantizer(ctx, spec.Quantizer.Name, spec.Quantizer.settings(s.arena, deadline, log))
		if err == nil {
			s.quantizer, s.quantizerProcess = q, q
		}
		return err
	})
	return s, failure(err)
}

// together does two things at the same time, which is how long it takes to start
// processes that wait for each other little. The error is the first one's where it has one.
func together(first, second func() error) error {
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { errs[0] = first() })
	both.Go(func() { errs[1] = second() })
	both.Wait()
	return cmp.Or(errs[0], errs[1])
}

func (p Plugin) settings(a *arena.Arena, deadline time.Duration, log *pluginLog) host.Settings {
	return host.Settings{Arena: a, Deadline: deadline, Output: log.of(p), SHA256: p.SHA256, Environment: p.Environment, Limits: p.Limits}
}

// build lays out the tensors in the arena and opens both plugins on them: the
// parameters then have their starting values, and states are zero.
func (s *session) build(ctx context.Context) error {
	plan, states, err := s.plan(ctx)
	if err != nil {
		return err
	}
	s.settings = plan.Settings
	shape, training := s.task.Shape(), s.spec.Task.Training
	if s.tensors, err = allocate(s.arena, s.spec, plan, states, shape); err != nil {
		return err
	}
	if err := s.model.Build(ctx, model.Build{
		Options: s.spec.Model.Options, Shape: shape, Seed: s.spec.Seed, Threads: s.spec.Threads, Optimiser: training.Optimiser, Arithmetic: training.Arithmetic,
		Parameters: s.tensors.values(), Buffers: s.tensors.bufferValues(), Batch: s.tensors.batch,
	}); err != nil {
		return failure(err)
	}
	return failure(s.quantizer.Open(ctx, s.spec.Quantizer.Options, s.tensors.weights))
}

// initialise has the quantizer write the starting values of its states. Call it if training
// does not go on from a checkpoint.
func (s *session) initialise(ctx context.Context) error {
	if !s.spec.Quantizer.Has(quantizer.TraitInitialise) {
		return nil
	}
	return failure(s.quantizer.Initialise(ctx))
}

// plan asks both plugins what they need. A quantizer that needs more than the
// experiment's optimiser keeps is a *plugins.Problem.
func (s *session) plan(ctx context.Context) (model.Plan, []quantizer.State, error) {
	optimiser := s.spec.Task.Training.Optimiser
	if s.spec.Quantizer.Has(quantizer.TraitSecondMoments) && optimiser != model.Adam {
		return model.Plan{}, nil, plugins.Problemf("quantizer %s needs Adam's second moments, and this experiment trains with %s; set training optimiser: %s", s.spec.Quantizer.Label, optimiser, model.Adam)
	}
	if arithmetic := s.spec.Task.Training.Arithmetic; !arithmetic.IsZero() && !s.spec.Model.Has(model.TraitBFloat16) {
		return model.Plan{}, nil, plugins.Problemf("model %s trains with float32 alone, and task %s with %s; set training arithmetic: %s", s.spec.Model.Label, s.spec.Task.Label, arithmetic, model.Float32)
	}
	plan, err := s.model.Plan(ctx, s.spec.Model.Options, s.task.Shape())
	if err != nil {
		return model.Plan{}, nil, failure(err)
	}
	states, err := s.quantizer.Plan(ctx, s.spec.Quantizer.Options, weightShapes(plan))
	if err != nil {
		return model.Plan{}, nil, failure(err)
	}
	for _, state := range states {
		if state.Trained && slices.ContainsFunc(plan.Parameters, func(p model.Parameter) bool { return p.Name == stateName(state) }) {
			return model.Plan{}, nil, &Failure{Reason: fmt.Sprintf("%s has a parameter named %s, which is what the state %s of %s that %s trains is called; one of them needs another name",
				s.spec.Model.Label, stateName(state), state.Name, state.Weight, s.spec.Quantizer.Label)}
		}
	}
	return plan, states, nil
}

// finish closes the session after work that ended with err. Then it reads the last lines
// that the plugin at fault has printed: they may arrive later than the answer that showed
// the fault, but not later than the end of the process.
//
// If a plugin has truncated the file of the shared tensors, finish reports that instead of
// err: another plugin may have crashed because of it.
func (s *session) finish(err error) error {
	if lost, _ := errors.AsType[*host.Failure](err); err != nil && s.arena.Intact() != nil && (lost == nil || lost.Reason != host.Nonsense) {
		err = &Failure{
			Reason: fmt.Sprintf("%s or %s cut short the file of the tensors they share with the harness", s.spec.Model.Label, s.spec.Quantizer.Label),
			cause:  err,
		}
	}
	err = errors.Join(err, s.close())
	f, ok := errors.AsType[*Failure](err)
	lost, known := errors.AsType[*host.Failure](err)
	if !ok || !known {
		return err
	}
	switch lost.Plugin.Kind {
	case plugins.KindModel:
		f.Stderr = s.modelProcess.Stderr()
	case plugins.KindQuantizer:
		f.Stderr = s.quantizerProcess.Stderr()
	}
	return err
}

// close ends the processes and then gives up the tensors.
func (s *session) close() error {
	var errs []error
	for _, p := range []process{s.quantizerProcess, s.modelProcess} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	if s.arena != nil {
		errs = append(errs, s.arena.Close())
	}
	return errors.Join(errs...)
}
