package experiment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Checker finds out before anything is trained or written whether experiments can be
// run at all.
type Checker struct {
	Catalogue *host.Catalogue
	Deadline  time.Duration
	Runs      string // folder of the run store
	Again     bool   // checkpoints will not be gone on from

	// asked holds what the plugins answered for one experiment, which holds for
	// experiments that differ in their seed alone.
	asked map[string]answer
}

type answer struct {
	plan   model.Plan
	states []quantizer.State
}

// Check asks the plugins of an experiment whether they can serve it, and reads the
// checkpoint that training would go on from. What the user has to mend is a
// *plugins.Problem; a plugin that is at fault will fail its experiment when that is
// run, and is no error here.
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
	f := folder{path: filepath.Join(c.Runs, row.ID), id: row.ID}
	if _, err := os.Lstat(f.last()); err != nil {
		return nil // none yet, or a folder that the run store will say more of
	}
	return c.load(f, spec, t, a)
}

// load reads a checkpoint into tensors as training would. A plan that there is no
// room for fails its experiment when that is run, and is no error here.
func (c *Checker) load(f folder, spec *Spec, t task.Task, a answer) (err error) {
	room, err := arena.Create("", 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	tensors, err := allocate(room, a.plan, a.states, t.Shape(), spec.Task.Training.Optimiser)
	if _, ok := errors.AsType[*Failure](err); ok {
		return nil
	}
	if err != nil {
		return err
	}
	err = store.ReadLocked(f.path, func() error {
		at, err := f.loadLast(tensors)
		if err != nil || at.Best == nil {
			return err
		}
		return f.checkBest(tensors, at)
	})
	if _, held := errors.AsType[*store.Held](err); held {
		return nil // its checkpoint is another's, and changes
	}
	return err
}

func (c *Checker) ask(ctx context.Context, spec *Spec, t task.Task) (_ answer, err error) {
	anySeed := *spec
	anySeed.Seed = 0
	row, err := anySeed.Row()
	if err != nil {
		return answer{}, err
	}
	if a, ok := c.asked[row.ID]; ok {
		return a, nil
	}
	s, err := start(ctx, c.Catalogue, c.Deadline, nil, spec, t)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var a answer
	if a.plan, a.states, err = s.plan(ctx); err != nil {
		return answer{}, err
	}
	if c.asked == nil {
		c.asked = make(map[string]answer)
	}
	c.asked[row.ID] = a
	return a, nil
}
