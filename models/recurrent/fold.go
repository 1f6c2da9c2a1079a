package recurrent

import (
	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// setGains takes the gains of the products from the weights, ones where there are
// none, and where their gradients go.
func (l *layer) setGains() {
	f := &l.fold
	if l.config.Normalization == NoNorm {
		f.gammaH, f.gammaX, f.gammaHGrad, f.gammaXGrad = f.ones, f.ones, f.discard, f.discard
		return
	}
	f.gammaH, f.gammaX = l.weights.GammaH, l.weights.GammaX
	f.gammaHGrad, f.gammaXGrad = l.gradients.GammaH, l.gradients.GammaX
}

// prepareFold adds up the biases of a worker's units, and folds a normalization
// that is the same at every step.
func (l *layer) prepareFold(w *worker) {
	c, f := l.config, &l.fold
	for k := range l.gates {
		from, to := k*c.Units+w.from, k*c.Units+w.to
		bias := f.bias[from:to]
		copy(bias, l.weights.Beta[from:to])
		if c.ownBiases() {
			vecmath.Add(bias, l.weights.BetaX[from:to])
		}
		if c.hiddenBias() && !l.apart(k) {
			vecmath.Add(bias, l.weights.BetaH[from:to])
		}
		if c.Normalization == WeightNorm {
			l.norms(from, to)
		}
		if !c.Normalization.Batch() {
			l.foldGate(0, k, w.from, w.to)
		}
	}
}

// apart says that the normalised products of gate k are not added up at once.
func (l *layer) apart(k int) bool { return l.config.resetAfter() && k == gruGates-1 }

// normalise makes the scales and shifts of gate k of step s, units from ≤ u < to.
func (l *layer) normalise(s, k, from, to int) {
	if l.config.Normalization.Batch() {
		l.foldGate(s, k, from, to)
	}
}

func (l *layer) foldGate(s, k, from, to int) {
	st, f, units := &l.statistics, &l.fold, l.config.Units
	at := l.row(s, l.gates*units)
	from, to = k*units+from, k*units+to
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
}
