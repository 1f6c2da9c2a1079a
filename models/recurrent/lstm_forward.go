package recurrent

import (
	"errors"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// block is the number of columns that go through all of a step's elementwise
// work before the next ones: small enough for what one kernel writes to be in
// the first cache for the next, large enough for its calls to cost nothing. The
// kernels fetch the block after it, as many bytes ahead as accel/_gen/emit says.
const block = 32

// sweepForward is one worker's part of the forward pass.
func (l *LSTM) sweepForward(index int) {
	c, w := l.config, &l.workers[index]
	n := w.to - w.from
	for k := range lstmGates {
		row := k*c.Units + w.from
		w.err = errors.Join(w.err, w.hidden[k].Pack(l.weights.Wh[row*c.Units:], c.Units, true, c.Units, n))
		if c.Tokens && n > 0 {
			vecmath.Transpose(l.columns[row:], l.stride, l.weights.Wx[row*c.Inputs:], c.Inputs, n, c.Inputs)
		}
	}
	l.start(w)
	l.team.Barrier()
	for t := range c.Steps {
		if n > 0 {
			l.stepForward(w, t)
		}
		l.team.Barrier()
	}
}

// start writes the state before the first step.
func (l *LSTM) start(w *worker) {
	units := l.config.Units
	for row := range l.rows() {
		hidden, cells := l.weights.H0, l.weights.C0
		if s := l.Pass.Start; s != nil {
			hidden, cells = s.Hidden[row*units:], s.Cell[row*units:]
		}
		copy(l.hidden[row*units+w.from:row*units+w.to], hidden[w.from:])
		copy(l.cell[row*l.cellStride+w.from:row*l.cellStride+w.to], cells[w.from:])
	}
}

func (l *LSTM) stepForward(w *worker, t int) {
	c, rows := l.config, l.rows()
	before := l.hidden[t*c.Batch*c.Units:]
	for k := range lstmGates {
		out := l.at(l.products, t, l.stride, k*c.Units+w.from)
		w.err = errors.Join(w.err, w.scratch.MultiplyPacked(out.Data, out.Stride, before, c.Units, false, rows, &w.hidden[k], false))
	}
	for from := w.from; from < w.to; from += block {
		l.elementsForward(t, rows, from, min(from+block, w.to))
	}
}

// inputProducts are the rows of Wx·x of step t: for one-hot x a column of Wx
// each, else those that Forward computed.
func (l *LSTM) inputProducts(t, column int) gates.Gathered {
	c := l.config
	if c.Tokens {
		return gates.Gathered{Matrix: gates.Matrix{Data: l.columns[column:], Stride: l.stride}, Order: l.input.Tokens[t*c.Batch : (t+1)*c.Batch]}
	}
	return gates.Gathered{Matrix: l.at(l.inputs, t, l.stride, column)}
}

// elementsForward takes the units from ≤ u < to of step t from the products to
// the hidden state.
func (l *LSTM) elementsForward(t, rows, from, to int) {
	units := l.config.Units
	f := &l.fold
	if l.config.BatchNorm {
		for k := range lstmGates {
			l.measureGate(t, rows, k*units+from, k*units+to)
		}
	}
	cellNow := l.at(l.cell, t+1, l.cellStride, from)
	activation := l.activate(t, rows, from, to, cellNow)
	if l.config.BatchNorm {
		l.normaliseCell(t, rows, from, to, cellNow)
	}
	gates.Output{
		Rows: rows, Columns: to - from,
		Cell: cellNow, Scale: f.scaleC[from:to], Shift: f.shiftC[from:to],
		Gate:     gates.Matrix{Data: activation.Data[(lstmGates-1)*units:], Stride: l.stride},
		CellTanh: l.at(l.cellTanh, t, l.cellStride, from),
		Hidden:   l.at(l.hidden, t+1, units, from),
	}.Forward()
}

// activations are the gates of step t. With BatchNorm they are not kept: the
// backward pass needs the products, from which they are computed again sooner than
// memory gives them back.
func (l *LSTM) activations(t, column int) gates.Matrix {
	if l.config.BatchNorm {
		t = 0
	}
	return l.at(l.activation, t, l.stride, column)
}

// activate computes the gates of the units from ≤ u < to of step t from the
// products and their statistics, and the new cell where it has room.
func (l *LSTM) activate(t, rows, from, to int, newCell gates.Matrix) gates.Matrix {
	units, f := l.config.Units, &l.fold
	for k := range lstmGates {
		if l.config.BatchNorm {
			l.foldGate(t, k*units+from, k*units+to)
		} else {
			copy(f.shift[k*units+from:k*units+to], l.weights.Beta[k*units+from:])
		}
	}
	activation := l.activations(t, from)
	gates.Gates{
		Rows: rows, Columns: to - from, Spacing: units,
		Hidden: l.at(l.products, t, l.stride, from), Input: l.inputProducts(t, from),
		HiddenScale: f.scaleH[from:], InputScale: f.scaleX[from:], Shift: f.shift[from:],
		CellBefore: l.at(l.cell, t, l.cellStride, from),
		Activation: activation, Cell: newCell,
	}.Forward()
	return activation
}

// measureGate finds the statistics of both products, columns from ≤ j < to of
// the four gates.
func (l *LSTM) measureGate(t, rows, from, to int) {
	s := &l.statistics
	at := t * lstmGates * l.config.Units
	meanH, rstdH := s.meanH[at+from:at+to], s.rstdH[at+from:at+to]
	meanX, rstdX := s.meanX[at+from:at+to], s.rstdX[at+from:at+to]
	if l.Pass.Statistics != Frozen {
		gates.Moments(meanH, rstdH, gates.Gathered{Matrix: l.at(l.products, t, l.stride, from)}, rows, Epsilon)
		gates.Moments(meanX, rstdX, l.inputProducts(t, from), rows, Epsilon)
	}
	if t == 0 && !l.config.Carry {
		clear(rstdH)
	}
	if l.Pass.Statistics == Calibrate {
		r := l.Pass.Running
		l.gather(r.MeanH, r.VarianceH, meanH, rstdH, t, l.config.firstHidden(), lstmGates*l.config.Units, from)
		l.gather(r.MeanX, r.VarianceX, meanX, rstdX, t, 0, lstmGates*l.config.Units, from)
	}
}

// foldGate makes scales and a shift of both normalizations.
func (l *LSTM) foldGate(t, from, to int) {
	s, w, f := &l.statistics, &l.weights, &l.fold
	at := t * lstmGates * l.config.Units
	shift := f.shift[from:to]
	gates.Fold(f.scaleH[from:to], shift, w.GammaH[from:to], w.Beta[from:to], s.meanH[at+from:at+to], s.rstdH[at+from:at+to])
	gates.Fold(f.scaleX[from:to], shift, w.GammaX[from:to], shift, s.meanX[at+from:at+to], s.rstdX[at+from:at+to])
}

// normaliseCell folds the cell's normalization into a scale and a shift.
func (l *LSTM) normaliseCell(t, rows, from, to int, c gates.Matrix) {
	s, w, f := &l.statistics, &l.weights, &l.fold
	at := t * l.config.Units
	mean, rstd := s.meanC[at+from:at+to], s.rstdC[at+from:at+to]
	if l.Pass.Statistics != Frozen {
		gates.Moments(mean, rstd, gates.Gathered{Matrix: c}, rows, Epsilon)
	}
	if r := l.Pass.Running; l.Pass.Statistics == Calibrate {
		l.gather(r.MeanC, r.VarianceC, mean, rstd, t, 0, l.config.Units, from)
	}
	gates.Fold(f.scaleC[from:to], f.shiftC[from:to], w.GammaC[from:to], w.BetaC[from:to], mean, rstd)
}
