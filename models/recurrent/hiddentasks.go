package recurrent

import (
	"errors"

	"bittern/accel/kernels/team"
)

// hiddenTasks are the parts in which an interleaved layer adds up the gradient of Wh. It does so
// within the sweep, when the gradients of the products are still in the cache: one product for all
// steps would have to fetch them from memory. The sums are those of Whᵀ, whose rows the gates fill
// with whole vectors, whatever the number of units.
//
// Workers do not have the same amount of other work, as units are split at multiples of a grain. So
// whoever has finished its part of a step takes the next task. That does not change a sum, whose
// terms have one order.
//
// The tasks of a group add up the same steps, each for some of the units: task i is part i%parts of
// group i/parts.
type hiddenTasks struct {
	team.Tasks
	steps, parts int // of a group
}

// rowsTogether is about how many rows, one for each sequence of each step, a task adds up: their
// gradients and states are still in the second-level cache.
const rowsTogether = 200

// unitsTogether is how many rows of Whᵀ a task is for, one for each unit.
const unitsTogether = 16

func newHiddenTasks(c Config) hiddenTasks {
	return hiddenTasks{steps: max(1, rowsTogether/c.Batch), parts: (c.Units + unitsTogether - 1) / unitsTogether}
}

// due returns how many tasks are to be finished before the workers meet, once so many steps have
// their gradients: of a group, an equal share in each of the steps after it. So two groups, which
// add to the same sums, are never due at once.
func (h *hiddenTasks) due(done int) int {
	return max(0, done-h.steps+1) * h.parts / h.steps
}

// left returns the groups that are not finished after so many steps, first ≤ group < end: the last
// complete one, and that of the steps which remain.
func (h *hiddenTasks) left(steps int) (first, end int) {
	end = (steps + h.steps - 1) / h.steps
	return max(0, end-2), end
}

// addHiddenWeights takes tasks until none is left of those that are due.
func (l *layer) addHiddenWeights(w *worker, due int) {
	for {
		task, ok := l.tasks.Next(due)
		if !ok {
			return
		}
		l.addPart(w, task/l.tasks.parts, task%l.tasks.parts)
	}
}

// finishHiddenWeights takes the tasks that are left after the sweep.
func (l *layer) finishHiddenWeights(w *worker) {
	first, end := l.tasks.left(l.used)
	for group := first; group < end; group++ {
		l.addHiddenWeights(w, (group+1)*l.tasks.parts)
		l.team.Barrier()
	}
}

// addPart does a task. A worker packs the gradients of a group's steps once, if they have to be packed.
func (l *layer) addPart(w *worker, group, part int) {
	c := l.config
	first, after := group*l.tasks.steps, min((group+1)*l.tasks.steps, l.used) // in the order of the backward pass
	t := min(l.time(l.last()-1-first), l.time(l.last()-after))
	if w.packedGroup != group {
		w.packedGroup = group
		w.err = errors.Join(w.err,
			l.packOnce(&w.steps, l.at(l.products, t, l.stride, 0).Data, l.stride, (after-first)*c.Batch, l.gates*c.Units))
	}
	unit := part * unitsTogether
	w.err = errors.Join(w.err,
		w.scratch.MultiplyPacked(l.ordered.whGrad[unit*l.stride:], l.stride, l.stateBefore(t)[unit:], c.Units, true,
			min(unitsTogether, c.Units-unit), &w.steps, group > 0))
}
