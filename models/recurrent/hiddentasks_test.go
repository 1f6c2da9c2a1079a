package recurrent

import "testing"

// TestHiddenTasksAreDueInOrder goes through backward passes of many lengths. No task may be due
// before its steps have their gradients, and none while one of an earlier group is.
func TestHiddenTasksAreDueInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{Batch: 100, Units: 100}, {Batch: 300, Units: 16}, {Batch: 64, Units: 17}, {Batch: 1, Units: 256}} {
		tasks := newHiddenTasks(c)
		for steps := range 3*tasks.steps + 2 {
			finished := 0
			due := func(done, due int) {
				if due == finished {
					return
				}
				first, last := finished/tasks.parts, (due-1)/tasks.parts
				if due < finished || first != last {
					t.Errorf("batch %d, %d of %d steps: tasks of the groups %d to %d are due at once", c.Batch, done, steps, first, last)
				}
				if needed := min((last+1)*tasks.steps, steps); needed > done {
					t.Errorf("batch %d, %d of %d steps: a task is due that needs %d steps", c.Batch, done, steps, needed)
				}
				finished = due
			}
			for done := range steps {
				due(done, tasks.due(done))
			}
			first, end := tasks.left(steps)
			for group := first; group < end; group++ {
				due(steps, (group+1)*tasks.parts)
			}
			if want := (steps + tasks.steps - 1) / tasks.steps * tasks.parts; finished != want {
				t.Errorf("batch %d: %d tasks are due at the end of %d steps, want %d", c.Batch, finished, steps, want)
			}
		}
	}
}
