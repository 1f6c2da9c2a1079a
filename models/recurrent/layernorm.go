package recurrent

import (
	"math"

	"bittern/accel/kernels/vecmath"
)

// featureStatistics are what LayerNorm keeps. It overwrites the products with the normalised
// products, so that only a gain and a bias are left to apply.
type featureStatistics struct {
	rstdH    []float32 // of Wh·h, [Steps][gates][Batch]
	rstdX    []float32 // of Wx·x, [rows of inputs or columns][gates]
	gradient []float32 // of the normalised Wh·h, one step's, [Batch][stride]
	ones     []float32 // [Units]
	partial  [][]sums  // what each worker found over its own units, [workers][gates·Batch]
}

// sums are Σy and Σy·x̂ of the backward pass, or Σx and Σx² of the forward pass.
// They are in float64, where the difference of squares below keeps its digits.
type sums struct{ first, second float64 }

func newFeatureStatistics(l *layer) featureStatistics {
	c := l.config
	_, _, rows := l.inputTable()
	f := featureStatistics{
		rstdH:    make([]float32, c.Steps*l.gates*c.Batch),
		rstdX:    make([]float32, rows*l.gates),
		gradient: make([]float32, c.Batch*l.stride),
		ones:     ones(c.Units),
	}
	for range l.workers {
		f.partial = append(f.partial, make([]sums, l.gates*c.Batch))
	}
	return f
}

// inputTable returns the rows that Wx·x is taken from, with their gradients: the columns of Wx
// for tokens, otherwise the products of every step that any sequence has.
func (l *layer) inputTable() (values, gradients []float32, rows int) {
	if l.config.Tokens {
		return l.columns, l.columnsGrad, len(l.columns) / l.stride
	}
	return l.inputs, l.inputsGrad, l.used * l.config.Batch
}

// normal returns the mean and reciprocal deviation of n features.
func (s sums) normal(n int) (mean, rstd float64) {
	mean = s.first / float64(n)
	return mean, 1 / math.Sqrt(max(0, s.second/float64(n)-mean*mean)+Epsilon)
}

// forward sets x̂ = (x − mean)·rstd.
func (f *featureStatistics) forward(x []float32, mean, rstd float64) {
	vecmath.Axpy(x, float32(-mean), f.ones[:len(x)])
	vecmath.Scale(x, float32(rstd))
}

// normaliseInputs normalises a worker's rows of Wx·x, each whole.
func (l *layer) normaliseInputs(w *worker) {
	f, units := &l.features, l.config.Units
	table, _, rows := l.inputTable()
	from, to := l.team.Split(w.index, rows, 1)
	for at := from * l.gates; at < to*l.gates; at++ {
		x := table[at/l.gates*l.stride+at%l.gates*units:][:units]
		mean, rstd := sums{vecmath.Dot(x, f.ones), vecmath.SumSquares(x)}.normal(units)
		f.forward(x, mean, rstd)
		f.rstdX[at] = float32(rstd)
	}
}

// inputsBackward takes a worker's rows of the gradient of the normalised Wx·x to that of
// Wx·x. A token's gradient is the sum over its uses: they have one x̂, in which
// the backward pass is linear.
func (l *layer) inputsBackward(w *worker) {
	f, units := &l.features, l.config.Units
	table, gradients, rows := l.inputTable()
	from, to := l.team.Split(w.index, rows, 1)
	for at := from * l.gates; at < to*l.gates; at++ {
		first := at/l.gates*l.stride + at%l.gates*units
		x, dy := table[first:][:units], gradients[first:][:units]
		rstd, n := f.rstdX[at], float64(units)
		s := sums{vecmath.Dot(dy, f.ones), vecmath.Dot(dy, x)}
		vecmath.Axpy(dy, float32(-s.first/n), f.ones)
		vecmath.Axpy(dy, float32(-s.second/n), x)
		vecmath.Scale(dy, rstd)
	}
}

// normaliseFeatures normalises Wh·h of some gates of step s. Every worker sums over its
// own units, and all add up the sums in one order.
func (l *layer) normaliseFeatures(w *worker, s, firstGate, lastGate int) {
	f, batch, n := &l.features, l.config.Batch, w.to-w.from
	products := l.products[l.time(s)*batch*l.stride:]
	for k := firstGate; k < lastGate; k++ {
		for row := range l.rows() {
			x := products[row*l.stride+k*l.config.Units+w.from:][:n]
			f.partial[w.index][k*batch+row] = sums{vecmath.Dot(x, f.ones[:n]), vecmath.SumSquares(x)}
		}
	}
	l.team.Barrier()
	for k := firstGate; k < lastGate; k++ {
		for row := range l.rows() {
			mean, rstd := f.total(k*batch + row).normal(l.config.Units)
			f.forward(products[row*l.stride+k*l.config.Units+w.from:][:n], mean, rstd)
			if w.index == 0 {
				f.rstdH[(s*l.gates+k)*batch+row] = float32(rstd)
			}
		}
	}
}

// featuresBackward takes the gradient of the normalised Wh·h of some gates of step s to
// that of Wh·h, which takes the place of the products.
func (l *layer) featuresBackward(w *worker, s, firstGate, lastGate int) {
	f, batch, n := &l.features, l.config.Batch, w.to-w.from
	products := l.products[l.time(s)*batch*l.stride:]
	for k := firstGate; k < lastGate; k++ {
		for row := range batch {
			at := row*l.stride + k*l.config.Units + w.from
			dy := f.gradient[at:][:n]
			f.partial[w.index][k*batch+row] = sums{vecmath.Dot(dy, f.ones[:n]), vecmath.Dot(dy, products[at:][:n])}
		}
	}
	l.team.Barrier()
	for k := firstGate; k < lastGate; k++ {
		for row := range batch {
			at := row*l.stride + k*l.config.Units + w.from
			x, total := products[at:][:n], f.total(k*batch+row)
			rstd, units := f.rstdH[(s*l.gates+k)*batch+row], float64(l.config.Units)
			dy := f.gradient[at:][:n]
			vecmath.Axpy(dy, float32(-total.first/units), f.ones[:n])
			vecmath.Scale(x, float32(-total.second/units))
			vecmath.Add(x, dy)
			vecmath.Scale(x, rstd)
		}
	}
}

// total adds up what the workers found.
func (f *featureStatistics) total(at int) (s sums) {
	for _, p := range f.partial {
		s.first += p[at].first
		s.second += p[at].second
	}
	return s
}
