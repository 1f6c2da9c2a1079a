package recurrent

import (
	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// setGains notes the gains of the products, ones if the weights have none, and where their
// gradients go.
func (l *layer) setGains() {
	f, o, units := &l.fold, &l.ordered, l.config.Units
	f.betaGrad = l.gradients.Beta
	if l.config.interleaved() {
		f.betaGrad = o.betaGrad
	}
	if l.config.Normalization == NoNorm {
		f.gammaH, f.gammaX, f.gammaHGrad, f.gammaXGrad = f.ones, f.ones, f.discard, f.discard
		return
	}
	f.gammaH, f.gammaX = l.weights.GammaH, l.weights.GammaX
	f.gammaHGrad, f.gammaXGrad = l.gradients.GammaH, l.gradients.GammaX
	if l.config.interleaved() {
		l.order(o.gammaH, l.weights.GammaH, 1, 0, units)
		l.order(o.gammaX, l.weights.GammaX, 1, 0, units)
		f.gammaH, f.gammaX, f.gammaHGrad, f.gammaXGrad = o.gammaH, o.gammaX, o.gammaHGrad, o.gammaXGrad
	}
}

// prepareFold adds up the biases of a worker's units, and folds a normalization
// that is the same at every step.
func (l *layer) prepareFold(w *worker) {
	c, f := l.config, &l.fold
	l.pieces(w.from, w.to, func(row, column, n int) {
		bias := f.bias[column:][:n]
		copy(bias, l.weights.Beta[row:])
		if c.ownBiases() {
			vecmath.Add(bias, l.weights.BetaX[row:][:n])
		}
		if c.hiddenBias() && !l.apart(row/c.Units) {
			vecmath.Add(bias, l.weights.BetaH[row:][:n])
		}
		if c.Normalization == WeightNorm {
			l.norms(row, column, n)
		}
	})
	for k := 0; k < l.runs() && !c.Normalization.Batch(); k++ {
		l.foldRun(0, k, w.from, w.to)
	}
}

// apart says whether the normalised products of gate k are kept apart: a GRU multiplies one
// of them by the reset gate before it adds them.
func (l *layer) apart(k int) bool { return l.config.resetAfter() && k == gruGates-1 }

// normalise makes the scales and shifts of run k of step s, units from ≤ u < to.
func (l *layer) normalise(s, k, from, to int) {
	if l.config.Normalization.Batch() {
		l.foldRun(s, k, from, to)
	}
}

func (l *layer) foldRun(s, k, from, to int) {
	st, f := &l.statistics, &l.fold
	at := l.row(s, l.gates*l.config.Units)
	from, to = l.run(k, from, to)
	shift, bias := f.shift[from:to], f.bias[from:to]
	hidden := gates.Statistics{Mean: st.meanH[at+from : at+to], RStd: st.rstdH[at+from : at+to]}
	input := gates.Statistics{Mean: st.meanX[at+from : at+to], RStd: st.rstdX[at+from : at+to]}
	if l.apart(k) {
		gates.Fold(f.scaleH[from:to], f.shiftH[from:to], f.gammaH[from:to], l.weights.BetaH[from:to], hidden.Mean, hidden.RStd)
	} else {
		gates.Fold(f.scaleH[from:to], shift, f.gammaH[from:to], bias, hidden.Mean, hidden.RStd)
		bias = shift
	}
	gates.Fold(f.scaleX[from:to], shift, f.gammaX[from:to], bias, input.Mean, input.RStd)
	if l.isSingle() {
		for i, w := range l.columns[from:to] {
			f.scaleX[from+i] *= w
		}
	}
}
