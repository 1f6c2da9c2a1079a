package program

import (
	"context"
	"fmt"
	"slices"

	"bittern/plugins/network"
)

// Worker takes one group of sequences at a time through all stages.
type Worker struct {
	program  *Program
	machines []Machine // of the scans
	kept     []kept    // the values of stages, where a later stage reads them
	slots    []slot

	operations []Operation // over the steps
	x          []float32   // what they read of one sequence
	rows       [][]float32
}

// kept is a value of each sequence of a group: rows of size values.
type kept struct {
	size, rows int
	values     []float32
}

func (k kept) row(member, t int) []float32 {
	from := (member*k.rows + t) * k.size
	return k.values[from : from+k.size : from+k.size]
}

// slot is a sequence on a machine.
type slot struct {
	member int // its number in the group
	place  int // in the batch
	steps  int // its length
}

// NewWorker makes a worker for groups of the given number of sequences, which have at most
// the given steps of each stream.
func (p *Program) NewWorker(group int, steps map[string]int) *Worker {
	w := &Worker{program: p, slots: make([]slot, group)}
	for _, s := range p.stages {
		var machine Machine
		var operation Operation
		if s.Op == network.Scan {
			machine = s.graph.NewMachine(group)
		} else {
			operation = s.operation()
			most := steps[s.along]
			w.x, w.rows = slices.Grow(w.x, most), slices.Grow(w.rows, most)
		}
		w.machines, w.operations = append(w.machines, machine), append(w.operations, operation)
		value := kept{size: s.value.Size, rows: rows(s.value, steps)}
		if s.kept {
			value.values = make([]float32, group*value.rows*value.size)
		}
		w.kept = append(w.kept, value)
	}
	return w
}

// Run takes the sequences at the given places of a batch through all stages and
// hands their logits to the job. It allocates no memory unless states are carried.
func (w *Worker) Run(ctx context.Context, j *Job, places []int) error {
	for i := range w.program.stages {
		var err error
		switch s := &w.program.stages[i]; s.Op {
		case network.Scan:
			err = w.scan(ctx, j, i, places)
		case network.Softmax, network.WeightedSum:
			w.overSteps(j, i, places)
		}
		if err != nil {
			return fmt.Errorf("stage %q: %w", w.program.stages[i].Name, err)
		}
	}
	return nil
}

// scan runs a step graph along its stream, or once.
func (w *Worker) scan(ctx context.Context, j *Job, number int, places []int) error {
	s, m := &w.program.stages[number], w.machines[number]
	slots := w.arrange(j, s, places)
	for i, at := range slots {
		if from := j.carried(number, at.place); from != nil && s.carries() {
			m.Restore(i, *from)
		} else {
			m.Reset(i)
		}
		for input := range s.inputs {
			if !s.inputs[input].sequence {
				w.set(j, m, s, input, i, at, 0)
			}
		}
	}
	for step := 0; len(slots) > 0; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		for input := range s.inputs {
			if !s.inputs[input].sequence {
				continue
			}
			for i, at := range slots {
				w.set(j, m, s, input, i, at, s.time(step, at))
			}
		}
		if err := m.Step(len(slots)); err != nil {
			return fmt.Errorf("time step %d: %w", step, err)
		}
		for i, at := range slots {
			switch {
			case !s.Last:
				w.give(j, number, at, s.time(step, at), m, i)
			case step == at.steps-1:
				w.give(j, number, at, 0, m, i)
			}
		}
		for n := len(slots); n > 0 && slots[n-1].steps == step+1; n-- {
			slots = slots[:n-1]
			if s.carries() && j.carry != nil {
				j.carry.next[number][w.slots[n-1].place] = new(m.Save(n - 1))
			}
		}
	}
	return nil
}

// carries says whether a stage's sequences can go on from one batch to the next.
func (s *stage) carries() bool { return s.Op == network.Scan && s.along != "" && !s.Reverse }

// time returns which time step of the stream a sequence is at in step number step of the
// scan.
func (s *stage) time(step int, at slot) int {
	if s.Reverse {
		return at.steps - 1 - step
	}
	return step
}

// arrange puts a group on a machine, longest first.
func (w *Worker) arrange(j *Job, s *stage, places []int) []slot {
	slots := w.slots[:len(places)]
	for member, place := range places {
		slots[member] = slot{member, place, j.length(s.along, place)}
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return b.steps - a.steps })
	return slots
}

// set sets an input of a scan to its value at time step t.
func (w *Worker) set(j *Job, m Machine, s *stage, input, i int, at slot, t int) {
	if from := &s.inputs[input]; from.token {
		m.SetToken(input, i, j.batch.Int32[from.input][t*j.batch.Sequences+at.place])
	} else {
		m.SetVector(input, i, w.vector(j, from, at.member, at.place, t))
	}
}

// vector returns a value at time step t.
func (w *Worker) vector(j *Job, from *source, member, place, t int) []float32 {
	if from.input == "" {
		return w.kept[from.stage].row(member, t)
	}
	at := (t*j.batch.Sequences + place) * from.size
	return j.batch.Float32[from.input][at : at+from.size]
}

// give keeps the output of a scan at time step t, and hands logits to the job.
func (w *Worker) give(j *Job, number int, at slot, t int, m Machine, i int) {
	s := &w.program.stages[number]
	wanted := s.output && j.wants(at.place, t)
	if !s.kept && !wanted {
		return
	}
	x := m.Output(i)
	if s.kept {
		copy(w.kept[number].row(at.member, t), x)
	}
	if wanted {
		j.take(at.place, t, x)
	}
}

// overSteps computes a softmax or a weighted sum of each sequence.
func (w *Worker) overSteps(j *Job, number int, places []int) {
	s, result := &w.program.stages[number], w.kept[number]
	for member, place := range places {
		x, rows := w.x[:j.length(s.along, place)], w.rows[:0]
		for t := range x {
			x[t] = w.vector(j, &s.inputs[0], member, place, t)[0]
			if s.Op == network.WeightedSum {
				rows = append(rows, w.vector(j, &s.inputs[1], member, place, t))
			}
		}
		y := result.row(member, 0)
		if s.Op == network.Softmax {
			y = result.values[member*result.rows:][:len(x)]
		}
		w.operations[number](y, x, rows)
		for t := range len(y) / result.size {
			if s.output && j.wants(place, t) {
				j.take(place, t, y[t*result.size:][:result.size])
			}
		}
	}
}
