package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bittern/harness/checkpoint"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Checker finds out whether experiments can be run, before anything is trained or written.
// It starts each plugin once, however many experiments use it. Close ends the plugins.
type Checker struct {
	Catalogue *host.Catalogue
	Deadline  time.Duration
	Runs      string // folder of the run store
	Again     bool   // checkpoints will not be gone on from

	// asked holds what the plugins answered for one experiment, which holds for
	// experiments that differ in their seed alone.
	asked map[string]answer

	arena      *arena.Arena // which the plugins are started on; nothing lies in it
	models     started[*host.Model]
	quantizers started[*host.Quantizer]
}

// started holds the running plugins of a kind, by [processKey].
type started[P process] map[string]P

func processKey(p Plugin) string {
	return fmt.Sprintf("%q %q %q %v", p.Name, p.SHA256, p.Environment, p.Limits)
}

// get returns the plugin's process, and starts it where there is none.
func (s started[P]) get(p Plugin, start func() (P, error)) (P, error) {
	if running, ok := s[processKey(p)]; ok {
		return running, nil
	}
	running, err := start()
	if err != nil {
		return running, failure(err)
	}
	s[processKey(p)] = running
	return running, nil
}

// end ends the plugin's process, where there is one.
func (s started[P]) end(key string) error {
	running, ok := s[key]
	if !ok {
		return nil
	}
	delete(s, key)
	return running.Close()
}

// Close ends the plugins.
func (c *Checker) Close() error {
	var errs []error
	for key := range c.models {
		errs = append(errs, c.models.end(key))
	}
	for key := range c.quantizers {
		errs = append(errs, c.quantizers.end(key))
	}
	if c.arena != nil {
		errs = append(errs, c.arena.Close())
	}
	return errors.Join(errs...)
}

type answer struct {
	plan   model.Plan
	states []quantizer.State
	fault  error // why there is none: nobody waits for a plugin that hangs twice
}

// Check asks the plugins of an experiment whether they can serve it, and reads the
// checkpoint that training would go on from. What the user has to mend is a
// *plugins.Problem. A plugin that crashes or answers nonsense is no error here: its
// experiment will fail when it is run.
func (c *Checker) Check(ctx context.Context, spec *Spec) error {
	t := spec.Loaded.Task
	a, err := c.ask(ctx, spec, t)
	if _, ok := errors.AsType[*Failure](err); ok {
		if problem, ok := errors.AsType[*plugins.Problem](err); ok {
			return problem
		}
		return nil
	}
	if err != nil || c.Again {
		return err
	}
	row, err := spec.Row()
	if err != nil {
		return err
	}
	err = storage.ReadSaved(c.Runs, row.ID, func(checkpoints storage.Checkpoints) error {
		return c.load(ctx, saver{Checkpoints: checkpoints, id: row.ID}, spec, t, a)
	})
	if _, held := errors.AsType[*store.Held](err); held {
		return nil // its checkpoint is another's, and changes
	}
	return err
}

// load reads a checkpoint into tensors as training would. A plan that there is no
// room for fails its experiment when that is run, and is no error here.
func (c *Checker) load(ctx context.Context, f saver, spec *Spec, t task.Task, a answer) (err error) {
	room, err := arena.Create("", 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	tensors, err := allocate(room, spec, a.plan, a.states, t.Shape())
	if _, ok := errors.AsType[*Failure](err); ok {
		return nil
	}
	if err != nil {
		return err
	}
	at, err := f.loadLast(ctx, tensors)
	if errors.Is(err, checkpoint.ErrNone) {
		return nil
	}
	if err != nil || at.Best == nil {
		return err
	}
	return f.checkBest(ctx, tensors, at)
}

func (c *Checker) ask(ctx context.Context, spec *Spec, t task.Task) (_ answer, err error) {
	anySeed := *spec
	anySeed.Seed = 0
	row, err := anySeed.Row()
	if err != nil {
		return answer{}, err
	}
	if a, ok := c.asked[row.ID]; ok {
		return a, a.fault
	}
	if c.arena == nil {
		if c.arena, err = arena.Create("", 0); err != nil {
			return answer{}, err
		}
		c.asked, c.models, c.quantizers = make(map[string]answer), make(started[*host.Model]), make(started[*host.Quantizer])
	}
	var m *host.Model
	var q *host.Quantizer
	if err := together(func() (err error) {
		m, err = c.models.get(spec.Model, func() (*host.Model, error) {
			return c.Catalogue.Model(ctx, spec.Model.Name, spec.Model.settings(c.arena, c.Deadline, nil))
		})
		return err
	}, func() (err error) {
		q, err = c.quantizers.get(spec.Quantizer, func() (*host.Quantizer, error) {
			return c.Catalogue.Quantizer(ctx, spec.Quantizer.Name, spec.Quantizer.settings(c.arena, c.Deadline, nil))
		})
		return err
	}); err != nil {
		c.asked[row.ID] = answer{fault: err}
		return answer{}, err
	}
	var a answer
	s := &session{spec: spec, task: t, model: m, quantizer: q}
	if a.plan, a.states, err = s.plan(ctx); err != nil {
		// One of them may have crashed.
		err = errors.Join(err, c.models.end(processKey(spec.Model)), c.quantizers.end(processKey(spec.Quantizer)))
		c.asked[row.ID] = answer{fault: err}
		return answer{}, err
	}
	c.asked[row.ID] = a
	return a, nil
}
