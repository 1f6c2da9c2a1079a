package recurrent

import (
	"errors"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// sweepBackward is one worker's part of the backward pass: everything but the
// products that go over all time steps at once.
func (l *LSTM) sweepBackward(index int) {
	c, w := l.config, &l.workers[index]
	n := w.to - w.from
	l.clearGradients(w)
	if n > 0 {
		w.err = errors.Join(w.err, w.backward.Pack(l.weights.Wh[w.from:], c.Units, false, lstmGates*c.Units, n))
	}
	for t := c.Steps - 1; t >= 0; t-- {
		if n > 0 {
			l.stepBackward(w, t)
		}
		l.team.Barrier()
	}
	if n > 0 {
		l.finishBackward(w)
	}
}

func (l *LSTM) clearGradients(w *worker) {
	c, g := l.config, l.gradients
	for k := range lstmGates {
		from, to := k*c.Units+w.from, k*c.Units+w.to
		clear(g.Beta[from:to])
		if c.BatchNorm {
			clear(g.GammaH[from:to])
			clear(g.GammaX[from:to])
		}
		if c.Tokens {
			for token := range c.Inputs {
				clear(l.columnsGrad[token*l.stride+from : token*l.stride+to])
			}
		}
	}
	if c.BatchNorm {
		clear(g.GammaC[w.from:w.to])
		clear(g.BetaC[w.from:w.to])
	}
	clear(g.H0[w.from:w.to])
	clear(g.C0[w.from:w.to])
	for row := range c.Batch {
		clear(l.cellGradient[row*l.cellStride+w.from : row*l.cellStride+w.to])
	}
}

func (l *LSTM) stepBackward(w *worker, t int) {
	c := l.config
	var next gates.Matrix
	if t < c.Steps-1 {
		next = l.hiddenGradient(w, t+1)
	}
	for from := w.from; from < w.to; from += block {
		to := min(from+block, w.to)
		part := next
		if next.Data != nil {
			part.Data = next.Data[from-w.from:]
		}
		l.elementsBackward(t, from, to, part)
	}
	if c.Tokens && !c.BatchNorm {
		l.scatter(w, t)
	}
}

// hiddenGradient returns the gradient of h_{t−1} that comes from step t.
func (l *LSTM) hiddenGradient(w *worker, t int) gates.Matrix {
	next := l.at(l.hiddenNext, 0, l.cellStride, w.from)
	w.err = errors.Join(w.err, w.scratch.MultiplyPacked(next.Data, next.Stride,
		l.at(l.products, t, l.stride, 0).Data, l.stride, false, l.config.Batch, &w.backward, false))
	return next
}

// elementsBackward takes the units from ≤ u < to of step t from the gradient
// of h_t to the ones of both products and of c_{t−1}.
func (l *LSTM) elementsBackward(t, from, to int, next gates.Matrix) {
	c, s, w, g := l.config, &l.statistics, &l.weights, &l.gradients
	batchNorm, units, rows, columns := c.BatchNorm, c.Units, c.Batch, to-from
	batch := l.Pass.Statistics != Frozen
	activation := l.activations(t, from)
	if batchNorm {
		l.activate(t, rows, from, to, gates.Matrix{})
	}
	gateO := gates.Matrix{Data: activation.Data[(lstmGates-1)*units:], Stride: l.stride}
	cellGradient := l.at(l.cellGradient, 0, l.cellStride, from)

	output := gates.OutputGradient{
		Rows: rows, Columns: columns,
		HiddenAbove: l.at(l.above, t, units, from), HiddenNext: next,
		Gate: gateO, CellTanh: l.at(l.cellTanh, t, l.cellStride, from),
		Cell:         l.at(l.cell, t+1, l.cellStride, from),
		GateGradient: gateO, CellGradient: cellGradient,
	}
	if batchNorm {
		at := t * units
		output.Statistics = gates.Statistics{Mean: s.meanC[at+from : at+to], RStd: s.rstdC[at+from : at+to], Batch: batch}
		output.Gamma = w.GammaC[from:to]
		output.BetaGradient, output.GammaGradient = g.BetaC[from:to], g.GammaC[from:to]
	} else {
		output.Statistics = gates.Statistics{Mean: s.meanC[from:to], RStd: s.rstdC[from:to]}
		output.Gamma = s.rstdC[from:to]
		output.BetaGradient, output.GammaGradient = l.fold.discard[from:to], l.fold.discard[from:to]
	}
	output.Backward()

	gates.GatesGradient{
		Rows: rows, Columns: columns, Spacing: units,
		CellGradient: cellGradient, Activation: activation,
		CellBefore:   l.at(l.cell, t, l.cellStride, from),
		GateGradient: activation, CellBeforeGradient: cellGradient,
	}.Backward()

	for k := range lstmGates {
		from, to := k*units+from, k*units+to
		gradient := l.activations(t, from)
		if !batchNorm {
			gates.SumColumns(g.Beta[from:to], gradient, rows)
			continue
		}
		at := t * lstmGates * units
		products, inputs := l.at(l.products, t, l.stride, from), l.inputProducts(t, from)
		gates.AffinePairGradient{
			Rows: rows, Columns: columns,
			Gradient: gradient, Hidden: products, Input: inputs,
			HiddenStatistics: gates.Statistics{Mean: s.meanH[at+from : at+to], RStd: s.rstdH[at+from : at+to], Batch: batch},
			InputStatistics:  gates.Statistics{Mean: s.meanX[at+from : at+to], RStd: s.rstdX[at+from : at+to], Batch: batch},
			HiddenGamma:      w.GammaH[from:to], InputGamma: w.GammaX[from:to],
			BetaGradient: g.Beta[from:to], HiddenGammaGradient: g.GammaH[from:to], InputGammaGradient: g.GammaX[from:to],
			HiddenGradient: products, InputGradient: l.inputGradients(inputs, from),
		}.Backward()
	}
}

// inputGradients is where the gradient of inputProducts goes: for one-hot x to the
// columns of Wx that were chosen, else in their place.
func (l *LSTM) inputGradients(inputs gates.Gathered, column int) gates.Matrix {
	if l.config.Tokens {
		return gates.Matrix{Data: l.columnsGrad[column:], Stride: l.stride}
	}
	return inputs.Matrix
}

// scatter adds the gradient of Wx·x of step t, without normalization that of a, to
// the columns of Wx that the tokens chose.
func (l *LSTM) scatter(w *worker, t int) {
	c := l.config
	gradient := l.at(l.products, t, l.stride, 0).Data
	for row, token := range l.input.Tokens[t*c.Batch : (t+1)*c.Batch] {
		for k := range lstmGates {
			from, to := k*c.Units+w.from, k*c.Units+w.to
			vecmath.Add(l.columnsGrad[int(token)*l.stride+from:int(token)*l.stride+to],
				gradient[row*l.stride+from:row*l.stride+to])
		}
	}
}

// finishBackward writes the gradients that gather over all steps.
func (l *LSTM) finishBackward(w *worker) {
	c := l.config
	if c.Tokens {
		for k := range lstmGates {
			row := k*c.Units + w.from
			vecmath.Transpose(l.gradients.Wx[row*c.Inputs:], c.Inputs, l.columnsGrad[row:], l.stride, c.Inputs, w.to-w.from)
		}
	}
	if l.Pass.Start != nil {
		return
	}
	gates.SumColumns(l.gradients.C0[w.from:w.to], l.at(l.cellGradient, 0, l.cellStride, w.from), c.Batch)
	if !c.BatchNorm || c.Carry { // else Wh·h_0 normalises to 0 whatever h_0 is
		gates.SumColumns(l.gradients.H0[w.from:w.to], l.hiddenGradient(w, 0), c.Batch)
	}
}
