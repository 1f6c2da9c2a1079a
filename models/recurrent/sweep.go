package recurrent

import (
	"errors"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// sweepForward is one worker's part of the forward pass.
func (l *layer) sweepForward(index int) {
	c, w := l.config, &l.workers[index]
	if c.Tokens || l.narrow() {
		l.pieces(w.from, w.to, func(row, column, n int) {
			vecmath.Transpose(l.columns[column:], l.stride, l.weights.Wx[row*c.Inputs:], c.Inputs, n, c.Inputs)
		})
	}
	if c.interleaved() {
		l.order(l.ordered.wh, l.weights.Wh, c.Units, w.from, w.to)
	}
	for k := range l.runs() {
		if l.pass.BFloat16 {
			l.scaleHidden(w, k)
		}
		first, last := l.run(k, w.from, w.to)
		w.err = errors.Join(w.err, l.pack(&w.hidden[k], l.hiddenRun(w, k), c.Units, true, c.Units, last-first, l.scales.hidden[first:]))
		if l.narrow() && !l.isSingle() {
			first, last := l.run(k, w.from, w.to)
			w.err = errors.Join(w.err, w.inputs[k].Pack(l.columns[first:], l.stride, false, c.Inputs, last-first))
		}
	}
	l.prepareFold(w)
	if c.Normalization.Batch() && l.pass.Statistics == Frozen {
		l.freeze(w)
	}
	l.start(w)
	l.unit.start(w)
	l.team.Barrier()
	if c.Normalization == LayerNorm {
		l.normaliseInputs(w)
		l.team.Barrier()
	}
	if c.Masked && c.Reverse {
		l.fillStates(w)
	}
	for s := l.first(); s < l.last(); s++ {
		if l.narrow() && !l.isSingle() {
			l.multiplyInputs(w, l.time(s))
		}
		l.unit.forward(w, s)
		if c.HiddenBits > 0 {
			l.roundStates(w, l.after(l.time(s)))
		}
		if l.partial(s) {
			l.keepStates(w, s)
		}
		l.shareState(w, l.after(l.time(s)))
		l.team.Barrier()
	}
	if c.Masked && !c.Reverse {
		l.fillStates(w)
	}
}

// fetchStatistics has the processor bring the statistics of a worker's units of step s: since the
// forward pass no cache has them any more, and each block of units needs only a few lines of each.
func (l *layer) fetchStatistics(w *worker, s int) {
	if !l.config.Normalization.Batch() || s < l.first() || w.from == w.to {
		return
	}
	fetch := func(x []float32) {
		gates.Fetch(gates.Matrix{Data: x, Stride: grain}, (len(x)+grain-1)/grain, 1)
	}
	for k := range l.runs() {
		from, to := l.run(k, w.from, w.to)
		for _, of := range [2]gates.Statistics{l.hiddenStatistics(s, from, to), l.inputStatistics(s, from, to)} {
			fetch(of.Mean)
			fetch(of.RStd)
		}
	}
}

// start writes the hidden state before the first step.
func (l *layer) start(w *worker) {
	units := l.config.Units
	first := l.hidden[l.initial()*l.config.Batch*units:]
	for row := range l.rows() {
		hidden := l.weights.H0
		if l.carried(row) {
			hidden = l.pass.Start.Hidden[row*units:]
		}
		to := first[row*units+w.from : row*units+w.to]
		copy(to, hidden[w.from:])
		if l.pass.Noise != nil && !l.carried(row) {
			vecmath.Add(to, l.pass.Noise[row*units+w.from:row*units+w.to])
		}
	}
	if l.config.HiddenBits > 0 {
		l.roundStates(w, l.initial())
	}
	l.shareState(w, l.initial())
}

// roundStates rounds a worker's units of the hidden states at an index. Backward passes need
// not know of it, as none of them reads h_t as it was before.
func (l *layer) roundStates(w *worker, at int) {
	units := l.config.Units
	states := l.hidden[at*l.config.Batch*units:]
	for row := range l.rows() {
		h := states[row*units+w.from : row*units+w.to]
		vecmath.Round(h, h, l.config.HiddenBits)
	}
}

// carried says whether a sequence starts from the state it was given.
func (l *layer) carried(row int) bool {
	return l.pass.Start != nil && (l.pass.Fresh == nil || !l.pass.Fresh[row])
}

// carries says whether any sequence starts from a state it was given.
func (l *layer) carries() bool {
	for row := range l.rows() {
		if l.carried(row) {
			return true
		}
	}
	return false
}

// multiply computes the products of some runs of gates with the states of one time.
func (l *layer) multiply(w *worker, t int, states []float32, from, to int) {
	if w.from == w.to {
		return
	}
	units := l.config.Units
	for k := from; k < to; k++ {
		first, _ := l.run(k, w.from, w.to)
		w.outputs[k] = l.at(l.products, t, l.stride, first).Data
	}
	w.err = errors.Join(w.err, w.scratch.MultiplyEach(w.outputs[from:to], l.stride, states, units, false, l.rows(), w.hidden[from:to]))
}

// multiplyState computes the products of the gates before gate to with the hidden states before time t.
func (l *layer) multiplyState(w *worker, t, to int) {
	if !l.pass.BFloat16 {
		l.multiply(w, t, l.stateBefore(t), 0, to)
		return
	}
	for k := range to {
		first, _ := l.run(k, w.from, w.to)
		out := l.at(l.products, t, l.stride, first)
		w.err = errors.Join(w.err, w.scratch.MultiplyRounded(out.Data, out.Stride, l.rounded.states[l.before(t)%2], l.rows(), &w.hidden[k], false))
	}
}

// stateBefore is h before time t.
func (l *layer) stateBefore(t int) []float32 {
	return l.hidden[l.before(t)*l.config.Batch*l.config.Units:]
}

// inputProducts are the rows of Wx·x of time t: for one-hot x a column of Wx
// each, of a single feature x alone, else those that Forward or multiplyInputs computed.
func (l *layer) inputProducts(t, column int) gates.Gathered {
	if l.config.Tokens {
		return gates.Gathered{Matrix: gates.Matrix{Data: l.columns[column:], Stride: l.stride}, Order: l.tokens(t)}
	}
	if l.isSingle() {
		return gates.Gathered{Matrix: gates.Matrix{Data: l.input.Features[t*l.config.Batch:], Stride: 1}, Scalar: true}
	}
	return gates.Gathered{Matrix: l.at(l.inputs, l.inputTime(t), l.stride, column)}
}

// tokens are the columns of Wx that time t takes.
func (l *layer) tokens(t int) []int32 {
	batch, tokens := l.config.Batch, l.input.Tokens
	if l.config.Masked {
		tokens = l.mask.tokens
	}
	return tokens[t*batch : (t+1)*batch]
}

// inputGradients is where the gradient of inputProducts goes: for one-hot x to the
// columns of Wx that were chosen, else in their place where that is free.
func (l *layer) inputGradients(t, column int) gates.Matrix {
	if l.config.Tokens {
		return gates.Matrix{Data: l.columnsGrad[column:], Stride: l.stride}
	}
	return l.at(l.inputsGrad, l.inputGradientTime(t), l.stride, column)
}

// sweepBackward is one worker's part of the backward pass: everything but the
// products that go over all time steps at once.
func (l *layer) sweepBackward(index int) {
	c, w := l.config, &l.workers[index]
	l.clearGradients(w)
	l.unit.prepareBackward(w)
	w.packedGroup = -1
	if c.Masked && !c.Reverse {
		l.addFilling(w)
	}
	for s := l.last() - 1; s >= l.first(); s-- {
		if l.narrow() && !l.plain() && !l.isSingle() {
			l.multiplyInputs(w, l.time(s))
		}
		l.unit.backward(w, s)
		if l.narrow() && !l.isSingle() {
			l.addInputs(w, l.time(s))
		}
		l.shareGradients(w, l.time(s))
		l.fetchStatistics(w, s-1)
		l.team.Barrier()
	}
	if c.interleaved() {
		l.finishHiddenWeights(w)
	}
	if w.to > w.from {
		l.unit.finishBackward(w)
		l.restoreGradients(w)
		l.biasGradients(w)
	}
	if c.Normalization == LayerNorm {
		l.inputsBackward(w) // after the last barrier above: the gradients of all units are there
		l.team.Barrier()
	}
	if c.Tokens || l.narrow() {
		l.pieces(w.from, w.to, func(row, column, n int) {
			vecmath.Transpose(l.gradients.Wx[row*c.Inputs:], c.Inputs, l.columnsGrad[column:], l.stride, c.Inputs, n)
		})
	}
}

func (l *layer) clearGradients(w *worker) {
	c, g := l.config, &l.gradients
	f := &l.fold
	for k := range l.runs() {
		from, to := l.run(k, w.from, w.to)
		clear(f.betaGrad[from:to])
		if c.Normalization != NoNorm {
			clear(f.gammaHGrad[from:to])
			clear(f.gammaXGrad[from:to])
		}
		for at := 0; at < len(l.columnsGrad); at += l.stride {
			clear(l.columnsGrad[at+from : at+to])
		}
	}
	if l.isSingle() {
		clear(w.features)
	}
	if c.hiddenBias() {
		for k := range l.gates {
			clear(g.BetaH[k*c.Units+w.from : k*c.Units+w.to])
		}
	}
	if c.NormalizeCell {
		clear(g.GammaC[w.from:w.to])
		clear(g.BetaC[w.from:w.to])
	}
	clear(g.H0[w.from:w.to])
}

// hiddenGradient returns the gradient of the hidden state before time t that comes
// through its products, for the worker's units. Where accumulate is set it is added
// to what passed the products by, which is there already.
func (l *layer) hiddenGradient(w *worker, t int, accumulate bool) gates.Matrix {
	next := l.hiddenNext.at(0, w.from)
	if l.sharesGradients() {
		w.err = errors.Join(w.err, w.scratch.MultiplyRounded(next.Data, next.Stride, l.rounded.gradients[t%2], l.config.Batch, &w.backward, accumulate))
		return next
	}
	w.err = errors.Join(w.err, w.scratch.MultiplyPacked(next.Data, next.Stride,
		l.at(l.products, t, l.stride, 0).Data, l.stride, false, l.config.Batch, &w.backward, accumulate))
	return next
}

// gradientAbove is the gradient of the worker's hidden states after the step at time t
// that comes from the layer above; without data it is 0.
func (l *layer) gradientAbove(w *worker, t int) gates.Matrix {
	if l.aboveLast {
		if t != l.time(l.config.Steps-1) {
			return gates.Matrix{}
		}
		t = 0
	}
	return l.at(l.above, t, l.config.Units, w.from)
}

// startHiddenGradient is the gradient of the hidden state before the first step.
func (l *layer) startHiddenGradient(w *worker, accumulate bool) gates.Matrix {
	gradient := l.hiddenNext.at(0, w.from)
	if l.used > 0 {
		gradient = l.hiddenGradient(w, l.time(l.first()), accumulate)
	}
	if l.config.Masked && l.config.Reverse {
		l.addFilling(w)
	}
	return gradient
}

// startGradient adds up the gradient of a learned initial state over the
// sequences that started from it.
func (l *layer) startGradient(sum []float32, gradient gates.Matrix) {
	started := false
	for row := range l.config.Batch {
		if l.carried(row) {
			clear(gradient.Data[row*gradient.Stride:][:len(sum)])
		} else {
			started = true
		}
	}
	if started {
		gates.SumColumns(sum, gradient, l.config.Batch)
	}
}

// affinePairBackward takes the gradient of one gate's sum, columns from ≤ j < to of
// all gates, to those of its two products.
func (l *layer) affinePairBackward(s, from, to int, gradient gates.Matrix) {
	t, f := l.time(s), &l.fold
	gates.AffinePairGradient{
		Rows: l.config.Batch, Columns: to - from,
		Gradient: gradient, Hidden: l.at(l.products, t, l.stride, from), Input: l.inputProducts(t, from),
		HiddenStatistics: l.hiddenStatistics(s, from, to), InputStatistics: l.inputStatistics(s, from, to),
		HiddenGamma: f.gammaH[from:to], InputGamma: f.gammaX[from:to],
		BetaGradient: f.betaGrad[from:to], HiddenGammaGradient: f.gammaHGrad[from:to], InputGammaGradient: f.gammaXGrad[from:to],
		HiddenGradient: l.hiddenProductGradient(t, from), InputGradient: l.inputGradients(t, from),
	}.Backward()
}

// hiddenProductGradient is where the gradient of the normalised products goes, which is
// that of the products but with LayerNorm.
func (l *layer) hiddenProductGradient(t, column int) gates.Matrix {
	if l.config.Normalization == LayerNorm {
		return l.at(l.features.gradient, 0, l.stride, column)
	}
	return l.at(l.products, t, l.stride, column)
}

// restoreGradients takes the gradients of what an interleaved layer has in the order of
// its columns to the parameters.
func (l *layer) restoreGradients(w *worker) {
	c, f, g := l.config, &l.fold, &l.gradients
	if !c.interleaved() {
		return
	}
	l.pieces(w.from, w.to, func(row, column, n int) {
		vecmath.Transpose(g.Wh[row*c.Units:], c.Units, l.ordered.whGrad[column:], l.stride, c.Units, n)
	})
	l.restore(g.Beta, f.betaGrad, 1, w.from, w.to)
	if c.Normalization != NoNorm {
		l.restore(g.GammaH, f.gammaHGrad, 1, w.from, w.to)
		l.restore(g.GammaX, f.gammaXGrad, 1, w.from, w.to)
	}
}

// biasGradients copies the gradient of β to the biases that are added to it.
func (l *layer) biasGradients(w *worker) {
	c, g := l.config, &l.gradients
	for k := range l.gates {
		from, to := k*c.Units+w.from, k*c.Units+w.to
		if c.ownBiases() {
			copy(g.BetaX[from:to], g.Beta[from:to])
		}
		if c.hiddenBias() && !(c.resetAfter() && k == gruGates-1) {
			copy(g.BetaH[from:to], g.Beta[from:to])
		}
	}
}
