package recurrent

import (
	"slices"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// mask says which sequences have which steps. The elementwise work of a step runs over all
// sequences. In the forward pass, sequences without the step then get their earlier state
// back. In the backward pass, they take part with gradients of 0; their own gradients are
// put aside and handed on to the step before.
type mask struct {
	sequences [][]int32 // that have each step of the scan
	chosen    [][]int32 // the tokens of those
	tokens    []int32   // the input's tokens, or the row that stands for none, [Steps][Batch]

	above        perWorker // gradient of h, one step's
	hidden, cell perWorker // what is put aside of the gradients of h and c, one step's
}

func newMask(l *layer) mask {
	c := l.config
	m := mask{
		sequences: make([][]int32, c.Steps), chosen: make([][]int32, c.Steps),
		above: newPerWorker(l, 1), hidden: newPerWorker(l, 1), cell: newPerWorker(l, 1),
	}
	for s := range c.Steps {
		m.sequences[s], m.chosen[s] = make([]int32, 0, c.Batch), make([]int32, 0, c.Batch)
	}
	if c.Tokens {
		m.tokens = make([]int32, c.Steps*c.Batch)
	}
	return m
}

// set reads the lengths of a batch.
func (m *mask) set(l *layer) {
	c := l.config
	l.used = int(slices.Max(l.input.Lengths[:l.rows()]))
	for s := range c.Steps {
		t := l.time(s)
		m.sequences[s], m.chosen[s] = m.sequences[s][:0], m.chosen[s][:0]
		for row := range c.Batch {
			has := row < l.rows() && l.has(s, row)
			if has {
				m.sequences[s] = append(m.sequences[s], int32(row))
			}
			if !c.Tokens {
				continue
			}
			at := t*c.Batch + row
			m.tokens[at] = int32(c.Inputs)
			if has {
				m.tokens[at] = l.input.Tokens[at]
				m.chosen[s] = append(m.chosen[s], m.tokens[at])
			}
		}
	}
}

// has says whether a sequence has step s of the scan.
func (l *layer) has(s, row int) bool { return l.time(s) < int(l.input.Lengths[row]) }

// partial says whether only some of the sequences have step s.
func (l *layer) partial(s int) bool { return l.config.Masked && l.mask.count(s) < l.config.Batch }

// count is the number of sequences that have step s.
func (m *mask) count(s int) int { return len(m.sequences[s]) }

// rows are the rows of step s that statistics are taken over, of a matrix whose
// rows are in the given order.
func (m *mask) rows(s int, order []int32) []int32 {
	if order == nil {
		return m.sequences[s]
	}
	return m.chosen[s]
}

// keepStates gives sequences without step s their hidden state back.
func (l *layer) keepStates(w *worker, s int) {
	t, units := l.time(s), l.config.Units
	l.keepRows(s, l.at(l.hidden, l.before(t), units, w.from), l.at(l.hidden, l.after(t), units, w.from), w.to-w.from)
}

// fillStates writes the last state to the times that no sequence has.
func (l *layer) fillStates(w *worker) {
	units := l.config.Units
	from := l.at(l.hidden, l.used, units, w.from)
	for t := l.used + 1; t <= l.config.Steps; t++ {
		to := l.at(l.hidden, t, units, w.from)
		for row := range l.rows() {
			copy(to.Data[row*units:][:w.to-w.from], from.Data[row*units:])
		}
	}
}

// addFilling adds the gradients of the states that fillStates wrote to the gradient of the
// state that it copied.
func (l *layer) addFilling(w *worker) {
	n := w.to - w.from
	sum := l.hiddenNext.at(0, w.from)
	for t := l.used; t < l.config.Steps; t++ {
		above := l.gradientAbove(w, t)
		for row := 0; row < l.config.Batch && above.Data != nil; row++ {
			vecmath.Add(sum.Data[row*sum.Stride:][:n], above.Data[row*above.Stride:][:n])
		}
	}
}

// keepRows copies n columns of the rows of sequences without step s.
func (l *layer) keepRows(s int, before, after gates.Matrix, n int) {
	for row := range l.rows() {
		if !l.has(s, row) && n > 0 {
			copy(after.Data[row*after.Stride:][:n], before.Data[row*before.Stride:])
		}
	}
}

// splitGradients returns the gradient of the hidden states after step s, above + next,
// with 0 for sequences without the step, whose own is put aside. next becomes 0.
func (l *layer) splitGradients(w *worker, s int, above, next gates.Matrix) gates.Matrix {
	n := w.to - w.from
	sum := l.mask.above.at(0, w.from)
	aside := l.mask.hidden.at(0, w.from)
	for row := range l.config.Batch {
		to := sum.Data[row*sum.Stride:][:n]
		if !l.has(s, row) {
			clear(to)
			to = aside.Data[row*aside.Stride:][:n]
		}
		if above.Data == nil {
			clear(to)
		} else {
			copy(to, above.Data[row*above.Stride:])
		}
		vecmath.Add(to, next.Data[row*next.Stride:][:n])
		clear(next.Data[row*next.Stride:][:n])
	}
	return sum
}

// setAside moves the rows of sequences without step s from data to aside, and leaves 0.
func (l *layer) setAside(s int, aside, data perWorker, w *worker) {
	for row := range l.config.Batch {
		if !l.has(s, row) {
			copy(aside.row(row, w), data.row(row, w))
			clear(data.row(row, w))
		}
	}
}

// putBack copies them back.
func (l *layer) putBack(s int, aside, data perWorker, w *worker) {
	for row := range l.config.Batch {
		if !l.has(s, row) {
			copy(data.row(row, w), aside.row(row, w))
		}
	}
}

// clearProducts sets the gradients of both products of step s to 0 for the sequences without
// the step. They are not 0 before, as the gradients of statistics go to every row.
func (l *layer) clearProducts(s int, w *worker) {
	for k := range l.runs() {
		l.clearRun(s, w, k)
	}
}

func (l *layer) clearRun(s int, w *worker, k int) {
	t := l.time(s)
	from, to := l.run(k, w.from, w.to)
	for row := range l.config.Batch {
		if l.has(s, row) {
			continue
		}
		at := (t*l.config.Batch + row) * l.stride
		clear(l.products[at+from : at+to])
		if !l.config.Tokens {
			at := (l.inputGradientTime(t)*l.config.Batch + row) * l.stride
			clear(l.inputsGrad[at+from : at+to])
		}
	}
}
