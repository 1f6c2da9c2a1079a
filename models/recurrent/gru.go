package recurrent

import (
	"errors"

	"bittern/accel/kernels/flush"
	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/team"
)

// The gates of a GRU.
const (
	gateR = iota
	gateZ
	gateN
)

// gru is a layer of gated recurrent units; see [GRU].
type gru struct {
	layer

	activation []float32 // gates, then the gradient of their sums, one step's, [Batch][stride]
	candidate  perWorker // gradient of N(Wh_n·h), one step's

	// Of a layer whose reset gate comes before the product.
	reset    []float32 // r∘h_{t−1}, [Steps][Batch][Units]
	gradient []float32 // of the gates' sums, one step's, [Batch][stride]
}

func newGRU(t *team.Team, config Config) *gru {
	l := &gru{}
	l.init(t, config, l)
	l.candidate = newPerWorker(&l.layer, 1)
	l.activation = make([]float32, config.Batch*l.stride)
	l.gradient = l.activation
	if config.ResetBefore {
		l.reset = newRecord(config.Steps * config.Batch * config.Units)
		l.gradient = make([]float32, len(l.activation))
	}
	return l
}

// activations are the gates of a step. Only one step's are kept. The backward pass needs the
// products anyway, and computing the gates from them again is faster than reading them from memory.
func (l *gru) activations(column int) gates.Matrix { return l.at(l.activation, 0, l.stride, column) }

func (l *gru) start(*worker) {}

func (l *gru) forward(w *worker, s int) {
	t := l.time(s)
	together := gruGates
	if l.config.ResetBefore {
		together = gateN
	}
	l.multiplyState(w, t, together)
	if l.config.Normalization == LayerNorm {
		l.normaliseFeatures(w, s, 0, together)
	}
	if l.config.ResetBefore {
		for from := w.from; from < w.to; from += block {
			to := min(from+block, w.to)
			l.measureGates(s, from, to, gateR, gateN)
			l.activateGates(s, l.rows(), from, to)
			l.resetBefore(t, from, to)
		}
		l.team.Barrier()
		l.multiply(w, t, l.resetStates(t), gateN, gruGates)
		if l.config.Normalization == LayerNorm {
			l.normaliseFeatures(w, s, gateN, gruGates)
		}
	}
	for from := w.from; from < w.to; from += block {
		to := min(from+block, w.to)
		if l.config.ResetBefore {
			l.measureGates(s, from, to, gateN, gruGates)
		} else {
			l.measureGates(s, from, to, gateR, gruGates)
			l.activateGates(s, l.rows(), from, to)
		}
		l.activateCandidate(s, l.rows(), from, to)
		units := l.config.Units
		gates.Update{
			Rows: l.rows(), Columns: to - from, Spacing: units, Activation: l.activations(from),
			Before: l.at(l.hidden, l.before(t), units, from), After: l.at(l.hidden, l.after(t), units, from),
		}.Forward()
	}
}

// measureGates computes the batch's statistics of some gates' products.
func (l *gru) measureGates(s, from, to, firstGate, lastGate int) {
	if !l.config.Normalization.Batch() {
		return
	}
	for k := firstGate; k < lastGate; k++ {
		l.measure(s, k, from, to)
	}
}

// activateGates computes r and z of the units from ≤ u < to.
func (l *gru) activateGates(s, rows, from, to int) {
	for k := gateR; k <= gateZ; k++ {
		l.activateGate(s, k, rows, from, to)
	}
}

// activateGate computes a gate from the sum of its two products.
func (l *gru) activateGate(s, k, rows, from, to int) {
	t, f := l.time(s), &l.fold
	l.normalise(s, k, from, to)
	from, to = k*l.config.Units+from, k*l.config.Units+to
	gates.Gate{
		Rows: rows, Columns: to - from, Tanh: k == gateN,
		Hidden: l.at(l.products, t, l.stride, from), Input: l.inputProducts(t, from),
		HiddenScale: f.scaleH[from:to], InputScale: f.scaleX[from:to], Shift: f.shift[from:to],
		Activation: l.activations(from),
	}.Forward()
}

// activateCandidate computes n.
func (l *gru) activateCandidate(s, rows, from, to int) {
	if l.config.ResetBefore {
		l.activateGate(s, gateN, rows, from, to)
		return
	}
	t, f := l.time(s), &l.fold
	l.normalise(s, gateN, from, to)
	reset := l.activations(from)
	from, to = gateN*l.config.Units+from, gateN*l.config.Units+to
	gates.Candidate{
		Rows: rows, Columns: to - from,
		Hidden: l.at(l.products, t, l.stride, from), Input: l.inputProducts(t, from),
		HiddenScale: f.scaleH[from:to], HiddenShift: f.shiftH[from:to],
		InputScale: f.scaleX[from:to], InputShift: f.shift[from:to],
		Reset: reset, Activation: l.activations(from),
	}.Forward()
}

// resetStates are r∘h before time t.
func (l *gru) resetStates(t int) []float32 { return l.reset[t*l.config.Batch*l.config.Units:] }

// resetBefore computes them for the units from ≤ u < to.
func (l *gru) resetBefore(t, from, to int) {
	units := l.config.Units
	r, h := l.activations(from), l.at(l.hidden, l.before(t), units, from)
	out := l.at(l.reset, t, units, from)
	for row := range l.rows() {
		x, y := r.Data[row*r.Stride:], h.Data[row*units:]
		for u, to := 0, out.Data[row*units:][:to-from]; u < len(to); u++ {
			to[u] = x[u] * y[u]
		}
	}
}

func (l *gru) prepareBackward(w *worker) {
	units, n := l.config.Units, w.to-w.from
	if n == 0 {
		return
	}
	for row := range l.config.Batch {
		clear(l.hiddenNext.row(row, w))
	}
	together := gruGates
	if l.config.ResetBefore {
		together = gateN
		w.err = errors.Join(w.err, l.pack(&w.candidate, l.weights.Whn[w.from:], units, false, units, n, l.scales.hidden[gateN*units:]))
	}
	w.err = errors.Join(w.err, l.pack(&w.backward, l.weights.Wh[w.from:], units, false, together*units, n, l.scales.hidden))
}

func (l *gru) backward(w *worker, s int) {
	c, t, n := l.config, l.time(s), w.to-w.from
	if n > 0 {
		next := l.hiddenNext.at(0, w.from)
		if s < l.last()-1 {
			next = l.hiddenGradient(w, l.time(s+1), true)
		}
		above := l.gradientAbove(w, t)
		if l.partial(s) {
			above = l.splitGradients(w, s, above, next)
		}
		for from := w.from; from < w.to; from += block {
			l.updateBackward(s, from, min(from+block, w.to), column(above, from-w.from))
		}
	}
	if c.ResetBefore {
		l.resetBackward(w, s)
	}
	if n > 0 && l.partial(s) {
		l.clearProducts(s, w)
		l.putBack(s, l.mask.hidden, l.hiddenNext, w)
	}
	if c.Normalization == LayerNorm {
		together := gruGates
		if c.ResetBefore {
			together = gateN
		}
		l.featuresBackward(w, s, 0, together)
	}
}

// updateBackward computes, for the units from ≤ u < to of step s, the gradients of the
// gates' sums from the gradient of h_t, and those of the products. With ResetBefore,
// resetBackward computes some of the latter.
func (l *gru) updateBackward(s, from, to int, above gates.Matrix) {
	c, t, f := l.config, l.time(s), &l.fold
	units := c.Units
	l.activateGates(s, c.Batch, from, to)
	l.activateCandidate(s, c.Batch, from, to)
	next := l.hiddenNext.at(0, from)
	n := gateN*units + from
	candidate := l.candidate.at(0, from)
	gates.UpdateGradient{
		Rows: c.Batch, Columns: to - from, Spacing: units,
		HiddenAbove: above, HiddenNext: next,
		Activation: l.activations(from), Before: l.at(l.hidden, l.before(t), units, from),
		Hidden: l.at(l.products, t, l.stride, n), HiddenScale: f.scaleH[n:], HiddenShift: f.shiftH[n:],
		GateGradient: l.at(l.gradient, 0, l.stride, from), CandidateGradient: candidate, BeforeGradient: next,
	}.Backward()
	if c.ResetBefore {
		l.affinePairBackward(s, n, n+to-from, l.at(l.gradient, 0, l.stride, n))
		return
	}
	for k := gateR; k <= gateZ; k++ {
		l.affinePairBackward(s, k*units+from, k*units+to, l.at(l.gradient, 0, l.stride, k*units+from))
	}
	l.candidateBackward(s, n, n+to-from, candidate)
}

// candidateBackward takes the gradients of the two sides of n's sum to the products.
func (l *gru) candidateBackward(s, from, to int, hidden gates.Matrix) {
	t, f, g := l.time(s), &l.fold, &l.gradients
	gates.AffineGradient{
		Rows: l.config.Batch, Columns: to - from, Gradient: hidden,
		Product: gates.Gathered{Matrix: l.at(l.products, t, l.stride, from)}, Statistics: l.hiddenStatistics(s, from, to),
		Gamma: f.gammaH[from:to], BetaGradient: g.BetaH[from:to], GammaGradient: f.gammaHGrad[from:to],
		ProductGradient: l.hiddenProductGradient(t, from),
	}.Backward()
	gates.AffineGradient{
		Rows: l.config.Batch, Columns: to - from, Gradient: l.at(l.gradient, 0, l.stride, from),
		Product: l.inputProducts(t, from), Statistics: l.inputStatistics(s, from, to),
		Gamma: f.gammaX[from:to], BetaGradient: g.Beta[from:to], GammaGradient: f.gammaXGrad[from:to],
		ProductGradient: l.inputGradients(t, from),
	}.Backward()
}

// resetBackward takes the gradient of n's product through r∘h_{t−1} to that of r
// and of the hidden state before, and the gates r and z on to their products.
func (l *gru) resetBackward(w *worker, s int) {
	c, t := l.config, l.time(s)
	units, n := c.Units, w.to-w.from
	if n > 0 && l.partial(s) {
		l.clearRun(s, w, gateN)
	}
	if c.Normalization == LayerNorm {
		l.featuresBackward(w, s, gateN, gruGates)
	}
	l.team.Barrier() // every unit's gradient of Wh_n·(r∘h) is there
	if n == 0 {
		return
	}
	through := l.candidate.at(0, w.from) // the gradient of r∘h
	w.err = errors.Join(w.err, w.scratch.MultiplyPacked(through.Data, through.Stride,
		l.at(l.products, t, l.stride, gateN*units).Data, l.stride, false, c.Batch, &w.candidate, false))
	next := l.hiddenNext.at(0, w.from)
	before := l.at(l.hidden, l.before(t), units, w.from)
	for from := 0; from < n; from += block {
		to := min(from+block, n)
		l.activateGate(s, gateR, c.Batch, w.from+from, w.from+to)
		r, gradient := l.activations(w.from+from), l.at(l.gradient, 0, l.stride, w.from+from)
		for row := range c.Batch {
			dr, r := gradient.Data[row*gradient.Stride:][:to-from], r.Data[row*r.Stride:]
			through, next := through.Data[row*through.Stride+from:], next.Data[row*next.Stride+from:]
			h := before.Data[row*units+from:]
			for u := range dr {
				dr[u] = flush.ToZero(through[u] * h[u] * r[u] * (1 - r[u]))
				next[u] = flush.ToZero(next[u] + through[u]*r[u])
			}
		}
		for k := gateR; k <= gateZ; k++ {
			first := k*units + w.from + from
			l.affinePairBackward(s, first, first+to-from, l.at(l.gradient, 0, l.stride, first))
		}
	}
}

func (l *gru) finishBackward(w *worker) {
	l.startGradient(l.gradients.H0[w.from:w.to], l.startHiddenGradient(w, true))
}

func (l *gru) weightsBackward() error {
	if !l.config.ResetBefore {
		return l.hiddenWeightsBackward(l.hiddenBefore(), 0, gruGates)
	}
	return errors.Join(l.hiddenWeightsBackward(l.hiddenBefore(), 0, gateN), l.hiddenWeightsBackward(l.reset, gateN, gruGates))
}
