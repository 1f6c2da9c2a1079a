package recurrent

import (
	"errors"

	"bittern/accel/kernels/vecmath"
)

// mostNarrow is the number of features up to which Wx·x is computed in the sweep,
// for every step anew, forward and backward: less work than to write the products of
// all steps to memory and read them back.
const mostNarrow = 4

// narrow says whether the layer reads so few features. With LayerNorm no layer counts as
// narrow, as it normalises the products of all steps at once.
func (l *layer) narrow() bool {
	return !l.config.Tokens && l.config.Inputs <= mostNarrow && l.config.Normalization != LayerNorm
}

// isSingle says whether the layer reads one feature, so that Wx·x need not be computed: what
// normalises it over a batch follows from the mean and variance of that feature.
func (l *layer) isSingle() bool {
	return l.config.interleaved() && l.config.Normalization.Batch() && !l.config.Tokens && l.config.Inputs == 1
}

// inputTime is where the products Wx·x of time t lie.
func (l *layer) inputTime(t int) int {
	if l.narrow() {
		return 0
	}
	return t
}

// inputGradientTime is where the gradients of the products Wx·x of time t lie. In a plain layer
// they are the gradients of Wh·h.
func (l *layer) inputGradientTime(t int) int {
	if l.plain() {
		return t
	}
	return l.inputTime(t)
}

// feature is what a sequence reads at time t.
func (l *layer) feature(t, row, i int) float32 {
	return l.input.Features[(t*l.config.Batch+row)*l.config.Inputs+i]
}

// multiplyInputs computes Wx·x of time t for a worker's units.
func (l *layer) multiplyInputs(w *worker, t int) {
	if w.from == w.to {
		return
	}
	c := l.config
	for k := range l.runs() {
		first, _ := l.run(k, w.from, w.to)
		out := l.at(l.inputs, 0, l.stride, first)
		w.err = errors.Join(w.err, w.scratch.MultiplyPacked(out.Data, out.Stride, l.input.Features[t*c.Batch*c.Inputs:], c.Inputs, false, l.rows(), &w.inputs[k], false))
	}
}

// addInputs adds the gradients of Wx and, if wanted, of x that follow from the gradient of
// Wx·x at time t, for a worker's units. It sums over the batch before it adds to the sums
// of other steps, so that no sum has as many terms as all sequences have steps.
func (l *layer) addInputs(w *worker, t int) {
	c := l.config
	gradient := l.inputsGrad[l.inputGradientTime(t)*c.Batch*l.stride:]
	features := w.features[t*c.Batch*c.Inputs:][:c.Batch*c.Inputs]
	clear(features)
	for k := range l.runs() {
		from, to := l.run(k, w.from, w.to)
		n := to - from
		for i := range c.Inputs {
			sum := w.sum[:n]
			clear(sum)
			for row := range c.Batch {
				vecmath.Axpy(sum, l.feature(t, row, i), gradient[row*l.stride+from:][:n])
			}
			vecmath.Add(l.columnsGrad[i*l.stride+from:][:n], sum)
			for row := 0; row < c.Batch && l.featuresWanted; row++ {
				features[row*c.Inputs+i] += float32(vecmath.Dot(gradient[row*l.stride+from:][:n], l.columns[i*l.stride+from:][:n]))
			}
		}
	}
}

// sumFeatures adds up what the workers found of the gradient of x.
func (l *layer) sumFeatures(dInput []float32) {
	clear(dInput)
	used := l.used * l.config.Batch * l.config.Inputs
	for i := range l.workers {
		vecmath.Add(dInput[:used], l.workers[i].features[:used])
	}
}
