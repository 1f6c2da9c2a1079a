package recurrent

import (
	"errors"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
)

// lstm is a layer of long short-term memory; see [LSTM].
type lstm struct {
	layer

	cell         perWorker // c, of Steps+1 times in the order of the hidden states
	cellGradient perWorker // gradient of c, one step's
	blocks       []lstmBlock
}

// lstmBlock is what one worker computes of the block of units at which it works. It is so small
// that it stays in the first cache from one kernel to the next, and from block to block.
type lstmBlock struct {
	activation  []float32 // gates, then the gradient of a, [Batch][gates][block]
	cellTanh    []float32 // tanh(N(c)), [Batch][block]
	hiddenAgain []float32 // h computed anew with it, as large
}

func newLSTM(t *team.Team, config Config) *lstm {
	l := &lstm{}
	l.init(t, config, l)
	steps, batch := config.Steps, config.Batch
	l.cell = newPerWorker(&l.layer, steps+1)
	l.cellGradient = newPerWorker(&l.layer, 1)
	for range l.workers {
		n := batch * l.block()
		l.blocks = append(l.blocks, lstmBlock{make([]float32, lstmGates*n), make([]float32, n), make([]float32, n)})
	}
	return l
}

// Final implements [Layer].
func (l *lstm) Final(state State) {
	c := l.config
	l.layer.Final(state)
	for _, w := range l.workers {
		cell := l.cell.at(l.final(), w.from)
		for row := range c.Batch {
			copy(state.Cell[row*c.Units+w.from:row*c.Units+w.to], cell.Data[row*cell.Stride:])
		}
	}
}

func (l *lstm) start(w *worker) {
	first := l.cell.at(l.initial(), w.from)
	for row := range l.rows() {
		cells := l.weights.C0
		if l.carried(row) {
			cells = l.pass.Start.Cell[row*l.config.Units:]
		}
		copy(first.Data[row*first.Stride:], cells[w.from:w.to])
	}
}

func (l *lstm) forward(w *worker, s int) {
	t := l.time(s)
	l.multiplyState(w, t, l.runs())
	if l.config.Normalization == LayerNorm {
		l.normaliseFeatures(w, s, 0, lstmGates)
	}
	for from := w.from; from < w.to; from += l.block() {
		l.elementsForward(w, s, from, min(from+l.block(), w.to))
	}
	if l.partial(s) {
		l.keepRows(s, l.cell.at(l.before(t), w.from), l.cell.at(l.after(t), w.from), w.to-w.from)
	}
}

// elementsForward takes the units from ≤ u < to of step s from the products to
// the hidden state.
func (l *lstm) elementsForward(worker *worker, s, from, to int) {
	t := l.time(s)
	if l.config.Normalization.Batch() {
		for k := range l.runs() {
			l.measure(s, k, from, to)
		}
	}
	cellNow := l.cell.at(l.after(t), from)
	activation := l.activate(worker, s, l.rows(), from, to, cellNow)
	if l.config.NormalizeCell {
		l.measureCell(s, from, to, cellNow)
	}
	l.output(worker, s, l.rows(), from, to, activation, l.at(l.hidden, l.after(t), l.config.Units, from))
}

// output computes tanh(N(c)) and the hidden state of the units from ≤ u < to of step s.
func (l *lstm) output(worker *worker, s, rows, from, to int, activation, hidden gates.Matrix) {
	st, w, f := &l.statistics, &l.weights, &l.fold
	if l.config.NormalizeCell {
		at := s * l.config.Units
		gates.Fold(f.scaleC[from:to], f.shiftC[from:to], w.GammaC[from:to], w.BetaC[from:to], st.meanC[at+from:at+to], st.rstdC[at+from:at+to])
	}
	gates.Output{
		Rows: rows, Columns: to - from,
		Cell: l.cell.at(l.after(l.time(s)), from), Scale: f.scaleC[from:to], Shift: f.shiftC[from:to],
		Gate:     column(activation, (lstmGates-1)*l.activationSpacing(from)),
		CellTanh: l.inBlock(l.blocks[worker.index].cellTanh),
		Hidden:   hidden,
	}.Forward()
}

// activate computes the gates of the units from ≤ u < to of step s from the
// products and their statistics, and the new cell state where it has room.
func (l *lstm) activate(worker *worker, s, rows, from, to int, newCell gates.Matrix) gates.Matrix {
	t, f := l.time(s), &l.fold
	for k := range l.runs() {
		l.normalise(s, k, from, to)
	}
	first := l.column(0, from)
	activation := l.activations(worker, t, from)
	gates.Gates{
		Rows: rows, Columns: to - from, Spacing: l.spacing(from), ActivationSpacing: l.activationSpacing(from),
		Hidden: l.at(l.products, t, l.stride, first), Input: l.inputProducts(t, first),
		HiddenScale: f.scaleH[first:], InputScale: f.scaleX[first:], Shift: f.shift[first:],
		CellBefore: l.cell.at(l.before(t), from),
		Activation: activation, Cell: newCell,
	}.Forward()
	return activation
}

// activations are the gates of the units from ≤ u at time t. Only a plain LSTM keeps them, in the
// place of the products. The backward passes of others need the products anyway, and computing the
// gates from them again is faster than reading them from memory.
func (l *lstm) activations(w *worker, t, from int) gates.Matrix {
	if l.plain() {
		return l.at(l.products, t, l.stride, l.column(0, from))
	}
	return gates.Matrix{Data: l.blocks[w.index].activation, Stride: lstmGates * l.block()}
}

// activationSpacing is the distance of the gates of unit u in a row of activations.
func (l *lstm) activationSpacing(u int) int {
	if l.plain() {
		return l.spacing(u)
	}
	return min(l.block(), l.spacing(u))
}

// inBlock is a matrix of one column for each unit of a block.
func (l *lstm) inBlock(data []float32) gates.Matrix {
	return gates.Matrix{Data: data, Stride: l.block()}
}

// measureCell finds the statistics of the cell state, where they are the batch's own.
func (l *lstm) measureCell(s, from, to int, c gates.Matrix) {
	st, at := &l.statistics, s*l.config.Units
	mean, rstd := st.meanC[at+from:at+to], st.rstdC[at+from:at+to]
	if l.pass.Statistics != Frozen {
		l.moments(s, mean, rstd, gates.Gathered{Matrix: c})
	}
	if r := l.pass.Running; l.pass.Statistics == Calibrate {
		l.gather(r.MeanC, r.VarianceC, mean, rstd, s, 0, l.config.Units, from)
	}
}

func (l *lstm) prepareBackward(w *worker) {
	clear(l.gradients.C0[w.from:w.to])
	for row := range l.config.Batch {
		clear(l.cellGradient.row(row, w))
		clear(l.hiddenNext.row(row, w))
	}
	if w.to > w.from {
		units := l.config.Units
		w.err = errors.Join(w.err, l.pack(&w.backward, l.orderedWh()[w.from:], units, false, lstmGates*units, w.to-w.from, l.scales.hidden))
	}
}

func (l *lstm) backward(w *worker, s int) {
	c, t, n := l.config, l.time(s), w.to-w.from
	if n > 0 {
		var next gates.Matrix
		if s < l.last()-1 {
			next = l.hiddenGradient(w, l.time(s+1), l.partial(s+1))
		} else if c.Masked {
			next = l.hiddenNext.at(0, w.from)
		}
		above, partial := l.gradientAbove(w, t), l.partial(s)
		if partial {
			above, next = l.splitGradients(w, s, above, next), gates.Matrix{}
			l.setAside(s, l.mask.cell, l.cellGradient, w)
		}
		for from := w.from; from < w.to; from += l.block() {
			l.elementsBackward(w, s, from, min(from+l.block(), w.to), column(above, from-w.from), column(next, from-w.from))
		}
		if partial {
			l.clearProducts(s, w)
			l.putBack(s, l.mask.cell, l.cellGradient, w)
			l.putBack(s, l.mask.hidden, l.hiddenNext, w)
		}
		if c.Tokens && l.plain() {
			l.scatter(w, t)
		}
	}
	if c.interleaved() {
		l.addHiddenWeights(w, l.tasks.due(l.last()-1-s))
		l.fetch(w, s-1)
	}
	if c.Normalization == LayerNorm {
		l.featuresBackward(w, s, 0, lstmGates)
	}
}

// fetch has the processor bring what elementsBackward reads first of step s, a worker's first block
// of units: since the forward pass no cache has it any more. The kernels fetch the blocks after it.
func (l *lstm) fetch(w *worker, s int) {
	if w.from == w.to || s < l.first() {
		return
	}
	t, to := l.time(s), min(w.from+l.block(), w.to)
	first, last := l.run(0, w.from, to)
	gates.Fetch(l.at(l.products, t, l.stride, first), l.config.Batch, last-first)
	gates.Fetch(l.cell.at(l.after(t), w.from), l.config.Batch, to-w.from)
}

// column returns m from column j on. A matrix without data stays without.
func column(m gates.Matrix, j int) gates.Matrix {
	if m.Data != nil {
		m.Data = m.Data[j:]
	}
	return m
}

// elementsBackward takes the units from ≤ u < to of step s from the gradient
// of h_t to the ones of both products and of c_{t−1}.
func (l *lstm) elementsBackward(worker *worker, s, from, to int, above, next gates.Matrix) {
	c, st, w, g := l.config, &l.statistics, &l.weights, &l.gradients
	t, units, rows, columns := l.time(s), c.Units, c.Batch, to-from
	activation, spacing, own := l.activations(worker, t, from), l.activationSpacing(from), &l.blocks[worker.index]
	if !l.plain() {
		l.activate(worker, s, rows, from, to, gates.Matrix{})
	}
	// Computing tanh(N(c)) again is faster than reading it from memory.
	l.output(worker, s, rows, from, to, activation, l.inBlock(own.hiddenAgain))
	gateO := column(activation, (lstmGates-1)*spacing)
	cellGradient := l.cellGradient.at(0, from)

	output := gates.OutputGradient{
		Rows: rows, Columns: columns,
		HiddenAbove: above, HiddenNext: next,
		Gate: gateO, CellTanh: l.inBlock(own.cellTanh),
		Cell:         l.cell.at(l.after(t), from),
		GateGradient: gateO, CellGradient: cellGradient,
	}
	if c.NormalizeCell {
		at := s * units
		output.Statistics = l.asGates(s, st.meanC[at+from:at+to], st.rstdC[at+from:at+to])
		output.Gamma = w.GammaC[from:to]
		output.BetaGradient, output.GammaGradient = g.BetaC[from:to], g.GammaC[from:to]
	} else {
		output.Statistics = gates.Statistics{Mean: st.meanC[from:to], RStd: st.rstdC[from:to]}
		output.Gamma = st.rstdC[from:to]
		output.BetaGradient, output.GammaGradient = l.fold.discard[from:to], l.fold.discard[from:to]
	}
	output.Backward()
	if c.NormalizeCell && l.partial(s) {
		// The gradient through the statistics went to sequences without the step too.
		for row := range rows {
			if !l.has(s, row) {
				clear(cellGradient.Data[row*cellGradient.Stride:][:columns])
			}
		}
	}

	gates.GatesGradient{
		Rows: rows, Columns: columns, Spacing: spacing,
		CellGradient: cellGradient, Activation: activation,
		CellBefore:   l.cell.at(l.before(t), from),
		GateGradient: activation, CellBeforeGradient: cellGradient,
	}.Backward()

	for k := range l.runs() {
		from, to := l.run(k, from, to)
		gradient := column(activation, k*spacing)
		if l.plain() {
			gates.SumColumns(l.fold.betaGrad[from:to], gradient, rows)
			continue
		}
		if l.isSingle() {
			l.singleBackward(worker, s, from, to, gradient)
			continue
		}
		l.affinePairBackward(s, from, to, gradient)
	}
}

// scatter adds the gradient of a at time t to the columns of Wx that the tokens chose.
func (l *lstm) scatter(w *worker, t int) {
	gradient := l.at(l.products, t, l.stride, 0).Data
	for row, token := range l.tokens(t) {
		for k := range l.runs() {
			from, to := l.run(k, w.from, w.to)
			vecmath.Add(l.columnsGrad[int(token)*l.stride+from:int(token)*l.stride+to],
				gradient[row*l.stride+from:row*l.stride+to])
		}
	}
}

func (l *lstm) finishBackward(w *worker) {
	c := l.config
	l.startGradient(l.gradients.C0[w.from:w.to], l.cellGradient.at(0, w.from))
	if !c.Normalization.Batch() || c.Carry || c.Masked { // else N(Wh·h_0) is the same whatever h_0 is
		l.startGradient(l.gradients.H0[w.from:w.to], l.startHiddenGradient(w, l.partial(l.first())))
	}
}

func (l *lstm) weightsBackward() error {
	if l.config.interleaved() {
		return nil // addHiddenWeights did
	}
	return l.hiddenWeightsBackward(l.hiddenBefore(), 0, lstmGates)
}
