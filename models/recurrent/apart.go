package recurrent

import "bittern/accel/kernels/gates"

// apart is a matrix of units, [Batch × Units] for each time, in which every worker has its own
// units in memory of its own. Kernels and processors fetch more columns than those that a worker
// works on. If the units of all workers were in one matrix, those fetches would take cache lines
// away from the worker that is writing to them: a step of sequential MNIST would take a
// tenth longer (Emerald Rapids, two cores).
type apart struct {
	batch int
	parts []part
}

// part is one worker's units from ≤ u < to, [times·Batch × to−from].
type part struct {
	from, to int
	gates.Matrix
}

func newApart(l *layer, times int) apart {
	a := apart{batch: l.config.Batch}
	for i := range l.workers {
		w := &l.workers[i]
		stride := padded(w.to - w.from)
		a.parts = append(a.parts, part{w.from, w.to, gates.Matrix{Data: newRecord(times * a.batch * stride), Stride: stride}})
	}
	return a
}

// at returns the rows of time t, from unit u to the last of its worker. It has no data if u is
// beyond all units.
func (a apart) at(t, u int) gates.Matrix {
	for _, p := range a.parts {
		if u < p.to {
			return gates.Matrix{Data: p.Data[t*a.batch*p.Stride+u-p.from:], Stride: p.Stride}
		}
	}
	return gates.Matrix{}
}

// row is a worker's part of a row of time 0.
func (a apart) row(row int, w *worker) []float32 {
	p := a.parts[w.index]
	return p.Data[row*p.Stride:][:p.to-p.from]
}
