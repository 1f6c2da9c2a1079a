package recurrent

import "bittern/accel/kernels/gates"

// perWorker is a matrix of units, [Batch × Units] for each time, that lies in parts: each worker's
// units are in memory of their own. Kernels and processors fetch more columns than those that a
// worker works on. In one matrix of all units these fetches would take cache lines away from the
// worker that is writing to them, and a step of sequential MNIST would take a tenth longer
// (Emerald Rapids, two cores).
type perWorker struct {
	batch int
	parts []part
}

// part is one worker's units from ≤ u < to, [times·Batch × to−from].
type part struct {
	from, to int
	gates.Matrix
}

func newPerWorker(l *layer, times int) perWorker {
	p := perWorker{batch: l.config.Batch}
	for i := range l.workers {
		w := &l.workers[i]
		stride := padded(w.to - w.from)
		p.parts = append(p.parts, part{w.from, w.to, gates.Matrix{Data: newRecord(times * p.batch * stride), Stride: stride}})
	}
	return p
}

// at returns the rows of time t, from unit u to the last of its worker. It has no data if u is
// beyond all units.
func (p perWorker) at(t, u int) gates.Matrix {
	for _, part := range p.parts {
		if u < part.to {
			return gates.Matrix{Data: part.Data[t*p.batch*part.Stride+u-part.from:], Stride: part.Stride}
		}
	}
	return gates.Matrix{}
}

// row is a worker's units in a row of time 0.
func (p perWorker) row(row int, w *worker) []float32 {
	part := p.parts[w.index]
	return part.Data[row*part.Stride:][:part.to-part.from]
}
