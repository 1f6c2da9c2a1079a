package recurrent

import (
	"errors"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
)

// multipliers compute the large products of a pass.
type multipliers struct{ exact, rounding *matmul.Multiplier }

func newMultipliers(t *team.Team) multipliers {
	return multipliers{matmul.New(t), matmul.NewBFloat16(t)}
}

// multiplier returns the one of bfloat16 or the one of float32.
func (m multipliers) multiplier(bfloat16 bool) *matmul.Multiplier {
	if bfloat16 {
		return m.rounding
	}
	return m.exact
}

// weightScales are the largest magnitudes of the rows of weights, see [matmul.RowScales], in the
// order of the columns. Passes of bfloat16 find them before their first product; their backward
// passes use them again.
type weightScales struct{ hidden, inputs []float32 }

func newWeightScales(l *layer) weightScales {
	wide := l.gates * l.config.Units
	return weightScales{make([]float32, wide), make([]float32, wide)}
}

// scaleHidden finds the scales of a worker's rows of Wh, those of run k.
func (l *layer) scaleHidden(w *worker, k int) {
	first, last := l.run(k, w.from, w.to)
	units := l.config.Units
	matmul.RowScales(l.scales.hidden[first:last], l.hiddenRun(w, k), units, last-first, units)
}

// hiddenRun returns a worker's rows of Wh in the order of the columns, from those of run k on.
func (l *layer) hiddenRun(w *worker, k int) []float32 {
	units := l.config.Units
	if l.config.interleaved() {
		return l.ordered.wh[l.gates*w.from*units:]
	}
	return l.config.hiddenRows(&l.weights, k)[w.from*units:]
}

// scaleInputs finds a worker's share of the scales of Wx.
func (l *layer) scaleInputs(index int) {
	wx, inputs := l.weights.Wx, l.config.Inputs
	if l.config.interleaved() {
		wx = l.ordered.wx
	}
	from, to := l.team.Split(index, l.gates*l.config.Units, grain)
	matmul.RowScales(l.scales.inputs[from:to], wx[from*inputs:], inputs, to-from, inputs)
}

// pack packs weights for the products of the pass. scale is that of their stored rows.
func (l *layer) pack(p *matmul.Packed, weights []float32, ld int, transposed bool, k, n int, scale []float32) error {
	if l.pass.BFloat16 {
		return p.PackBFloat16(weights, ld, transposed, k, n, scale)
	}
	return p.Pack(weights, ld, transposed, k, n)
}

// packOnce packs what only one product of the pass needs, if the product cannot read it where it lies.
func (l *layer) packOnce(p *matmul.Packed, b []float32, ld, k, n int) error {
	if l.pass.BFloat16 {
		return p.PackBFloat16(b, ld, false, k, n, nil)
	}
	return p.Borrow(b, ld, k, n)
}

// roundedSteps are the left sides of the products in a sweep of bfloat16: the hidden states, and the
// gradients of the products, of one time. A worker rounds those of its own units and multiplies by
// those of all. One time's are written while another worker may still read the one's before.
type roundedSteps struct{ states, gradients [2]*matmul.Rounded }

func newRoundedSteps(c Config, gates int) *roundedSteps {
	r := &roundedSteps{}
	for i := range 2 {
		r.states[i], r.gradients[i] = matmul.NewRounded(c.Batch, c.Units), matmul.NewRounded(c.Batch, gates*c.Units)
	}
	return r
}

// shareState rounds a worker's units of the hidden states at an index for the products of all workers,
// where these are of bfloat16.
func (l *layer) shareState(w *worker, at int) {
	if !l.pass.BFloat16 {
		return
	}
	units := l.config.Units
	w.err = errors.Join(w.err, w.scratch.Round(l.rounded.states[at%2], w.from, w.to, l.hidden[at*l.config.Batch*units:], units, l.rows(), nil))
}

// sharesGradients says whether shareGradients does anything. With an odd number of
// units a pair may have numbers of two gates, which may be two workers'.
func (l *layer) sharesGradients() bool { return l.pass.BFloat16 && l.config.Units%2 == 0 }

// shareGradients does the same for the gradients of a worker's products of time t.
func (l *layer) shareGradients(w *worker, t int) {
	if !l.sharesGradients() {
		return
	}
	gradients := l.at(l.products, t, l.stride, 0)
	for k := range l.runs() {
		first, last := l.run(k, w.from, w.to)
		w.err = errors.Join(w.err, w.scratch.Round(l.rounded.gradients[t%2], first, last, gradients.Data, gradients.Stride, l.config.Batch, l.scales.hidden))
	}
}

// attentionScales are those of the matrices of an attention.
type attentionScales struct{ ym, um, rg, ug []float32 }

func newAttentionScales(c AttentionConfig) attentionScales {
	row := func() []float32 { return make([]float32, c.Units) }
	return attentionScales{row(), row(), row(), row()}
}

func (s attentionScales) set(c AttentionConfig, w AttentionWeights) {
	for _, one := range []struct{ scale, weights []float32 }{{s.ym, w.Wym}, {s.um, w.Wum}, {s.rg, w.Wrg}, {s.ug, w.Wug}} {
		matmul.RowScales(one.scale, one.weights, c.Features, c.Units, c.Features)
	}
}

// multiply is a product with weights of the attention, [Units × Features].
func (a *Attention) multiply(c []float32, ldc int, accumulate, transA, transB bool, m, n, k int, x []float32, ldx int, weights, scale []float32) error {
	return a.multiplier(a.BFloat16).GemmScaled(c, ldc, accumulate, transA, transB, m, n, k, x, ldx, weights, a.config.Features, scale)
}
