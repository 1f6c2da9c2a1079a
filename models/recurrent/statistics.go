package recurrent

import (
	"errors"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// Statistics says which means and variances normalise a forward pass.
type Statistics int

const (
	// Batch takes them from the batch itself.
	Batch Statistics = iota
	// Calibrate takes them from the batch too, and merges them into [Pass.Running].
	Calibrate
	// Frozen takes them from [Pass.Running].
	Frozen
)

// Running are the means and biased variances over everything that was gathered, for each
// time step: H (of Wh·h) and X (of Wx·x) [Steps × gates·Units], C (of the cell) [Steps ×
// Units]. With SharedBatchNorm, with Carry and in a masked layer there is one row for all
// steps. The variance of H at the first step is 0 if all sequences start from one state;
// a single row leaves that step out.
type Running struct {
	Sequences                                            float64 // how many they were gathered from
	MeanH, VarianceH, MeanX, VarianceX, MeanC, VarianceC []float32

	// Counts are, in a masked layer, how many steps of all sequences were gathered:
	// first those in H, then those in X and C. They are exact up to 2²⁴.
	Counts []float32
}

// Field returns where the buffer of a name is kept; nil if there is none.
func (r *Running) Field(name string) *[]float32 {
	switch name {
	case "mean_h":
		return &r.MeanH
	case "variance_h":
		return &r.VarianceH
	case "mean_x":
		return &r.MeanX
	case "variance_x":
		return &r.VarianceX
	case "mean_c":
		return &r.MeanC
	case "variance_c":
		return &r.VarianceC
	case "counts":
		return &r.Counts
	}
	return nil
}

func (r *Running) check(c Config) error {
	if r == nil {
		return errors.New(c.Kind.String() + ": the pass needs running statistics and has none")
	}
	var err error
	for _, b := range c.Buffers() {
		err = errors.Join(err, mismatch(c.Kind.String(), b.Name, len(*r.Field(b.Name)), b.Shape...))
	}
	return err
}

// moments computes the mean and reciprocal deviation of the columns at step s; in a masked
// layer over the sequences that have the step.
func (l *layer) moments(s int, mean, rstd []float32, x gates.Gathered) {
	rows := l.rows()
	if l.config.Masked {
		x.Order = l.mask.rows(s, x.Order)
		if rows = len(x.Order); rows == 0 {
			clear(mean)
			clear(rstd)
			return
		}
	}
	gates.Moments(mean, rstd, x, rows, Epsilon)
}

// measure computes the statistics of both products of run k of gates, units from ≤ u < to,
// if the pass uses the batch's own.
func (l *layer) measure(s, k, from, to int) {
	st, t, wide := &l.statistics, l.time(s), l.gates*l.config.Units
	at := s * wide
	first, last := l.run(k, from, to)
	meanH, rstdH := st.meanH[at+first:at+last], st.rstdH[at+first:at+last]
	meanX, rstdX := st.meanX[at+first:at+last], st.rstdX[at+first:at+last]
	if l.pass.Statistics != Frozen {
		l.moments(s, meanH, rstdH, gates.Gathered{Matrix: l.at(l.products, t, l.stride, first)})
		if l.isSingle() {
			l.singleMoments(s, first, meanX, rstdX)
		} else {
			l.moments(s, meanX, rstdX, l.inputProducts(t, first))
		}
	}
	if s == l.first() && l.constant(k) {
		clear(rstdH)
	}
	if l.pass.Statistics != Calibrate {
		return
	}
	r := l.pass.Running
	for gate, end := l.gatesOf(k); gate < end; gate++ {
		column, row := l.column(gate, from)-first, gate*l.config.Units+from
		n := column + to - from
		l.gather(r.MeanH, r.VarianceH, meanH[column:n], rstdH[column:n], s, l.config.firstHidden(gate), wide, row)
		l.gather(r.MeanX, r.VarianceX, meanX[column:n], rstdX[column:n], s, 0, wide, row)
	}
}

// constant says whether the recurrent product of gate k is the same for every sequence at
// the first step of the pass: always, or because all sequences of this batch start fresh
// and without noise.
func (l *layer) constant(k int) bool {
	if l.pass.Noise != nil {
		return false
	}
	c := l.config
	c.Carry = c.Carry && (l.pass.Statistics == Frozen || l.carries())
	return c.startsConstant(k)
}

// gather merges the moments of step s into the running mean and variance, whose first step
// is first. The moments are those of the columns from ≤ j < from+len(batchMean) in rows of
// width.
func (l *layer) gather(mean, variance, batchMean, batchRstd []float32, s, first, width, from int) {
	if s < first {
		return
	}
	rows, before := float64(l.rows()), l.pass.Running.Sequences
	shared := l.config.oneSet()
	switch {
	case l.config.Masked:
		rows, before = float64(l.mask.count(s)), l.counted(s, first)
	case shared:
		before = before*float64(l.config.Steps-first) + float64(s-first)*rows
	}
	if rows == 0 {
		return
	}
	if shared {
		s = 0
	}
	at, n := s*width+from, len(batchMean)
	merge(mean[at:at+n], variance[at:at+n], before, batchMean, batchRstd, rows)
}

// counted returns how many steps a masked layer's running statistics were gathered from
// before step s. first is 1 for Wh·h if its first step is left out.
func (l *layer) counted(s, first int) float64 {
	before := float64(l.pass.Running.Counts[1-first])
	for earlier := first; earlier < s; earlier++ {
		before += float64(l.mask.count(earlier))
	}
	return before
}

// count adds the sequences of a pass that calibrated to the running statistics.
func (l *layer) count() {
	r := l.pass.Running
	if l.config.Masked {
		for s := range l.config.Steps {
			n := float32(l.mask.count(s))
			r.Counts[1] += n
			if s >= l.config.firstHidden(0) {
				r.Counts[0] += n
			}
		}
	}
	r.Sequences += float64(l.rows())
}

// merge folds the moments of n sequences into those of the ones before, as if
// all had been taken at once (Chan, Golub, LeVeque: "Updating formulae and a
// pairwise algorithm for computing sample variances", 1979, equation 2.1).
// A rstd of 0 stands for a variance of 0.
func merge(mean, variance []float32, before float64, batchMean, batchRstd []float32, n float64) {
	total := before + n
	for j := range mean {
		var batchVariance float64
		if r := float64(batchRstd[j]); r > 0 {
			batchVariance = max(0, 1/(r*r)-Epsilon)
		}
		if before == 0 {
			mean[j], variance[j] = batchMean[j], float32(batchVariance)
			continue
		}
		delta := float64(batchMean[j]) - float64(mean[j])
		squares := float64(variance[j])*before + batchVariance*n + delta*delta*before*n/total
		mean[j] += float32(delta * n / total)
		variance[j] = float32(squares / total)
	}
}

// layerStatistics are the statistics that a forward pass normalised with, for its backward
// pass: H and X [Steps][gates·Units] in the order of the columns, C [Steps][Units]. Without
// batch normalization there is one row for all steps, whose mean is 0 and whose reciprocal
// deviation is that of the rows' norms, or 1; so it is for cell states that are not
// normalised.
type layerStatistics struct {
	meanH, rstdH, meanX, rstdX, meanC, rstdC []float32
}

func newLayerStatistics(c Config) layerStatistics {
	var s layerStatistics
	wide := c.Kind.gates() * c.Units
	if c.Normalization.Batch() {
		for _, field := range []*[]float32{&s.meanH, &s.rstdH, &s.meanX, &s.rstdX} {
			*field = make([]float32, c.Steps*wide)
		}
	} else {
		s.meanH, s.rstdH, s.meanX, s.rstdX = make([]float32, wide), ones(wide), make([]float32, wide), ones(wide)
	}
	if c.NormalizeCell {
		s.meanC, s.rstdC = make([]float32, c.Steps*c.Units), make([]float32, c.Steps*c.Units)
	} else {
		s.meanC, s.rstdC = make([]float32, c.Units), ones(c.Units)
	}
	return s
}

// freeze takes the statistics of a worker's units at every step from the running ones.
func (l *layer) freeze(w *worker) {
	s, r, units := &l.statistics, l.pass.Running, l.config.Units
	all := func(work func(row, column, n int)) { l.pieces(w.from, w.to, work) }
	spread(s.meanH, s.rstdH, r.MeanH, r.VarianceH, l.gates*units, all)
	spread(s.meanX, s.rstdX, r.MeanX, r.VarianceX, l.gates*units, all)
	if l.config.NormalizeCell {
		spread(s.meanC, s.rstdC, r.MeanC, r.VarianceC, units, func(work func(row, column, n int)) { work(w.from, w.from, w.to-w.from) })
	}
}

// spread takes the statistics of some columns at every step from running ones, which have as many
// rows or one for all steps. Rows have width columns; pieces are as those of [layer.pieces].
func spread(mean, rstd, runningMean, runningVariance []float32, width int, pieces func(work func(row, column, n int))) {
	for at := 0; at < len(mean); at += width {
		pieces(func(row, column, n int) {
			m, d := mean[at+column:][:n], rstd[at+column:][:n]
			if at >= len(runningMean) {
				copy(m, mean[column:])
				copy(d, rstd[column:])
				return
			}
			copy(m, runningMean[at+row:])
			vecmath.ReciprocalDeviation(d, runningVariance[at+row:][:n], Epsilon)
		})
	}
}

// row is where the statistics of step s are, of width columns.
func (l *layer) row(s, width int) int {
	if l.config.Normalization.Batch() {
		return s * width
	}
	return 0
}

func (l *layer) hiddenStatistics(s, from, to int) gates.Statistics {
	at := l.row(s, l.gates*l.config.Units)
	return l.asGates(s, l.statistics.meanH[at+from:at+to], l.statistics.rstdH[at+from:at+to])
}

func (l *layer) inputStatistics(s, from, to int) gates.Statistics {
	at := l.row(s, l.gates*l.config.Units)
	return l.asGates(s, l.statistics.meanX[at+from:at+to], l.statistics.rstdX[at+from:at+to])
}

func (l *layer) asGates(s int, mean, rstd []float32) gates.Statistics {
	g := gates.Statistics{Mean: mean, RStd: rstd, Batch: l.batchStatistics()}
	if l.config.Masked {
		g.Count = l.mask.count(s)
	}
	return g
}

// fold is the working memory of one step's normalizations as scales and
// shifts, which without normalization are 1 and the bias.
type fold struct {
	scaleH, scaleX, shift  []float32 // [gates·Units]
	shiftH                 []float32 // of Wh·h, where it is not merged into shift
	bias                   []float32 // the sum of the biases that shift starts from
	scaleC, shiftC         []float32 // [Units]
	gammaH, gammaX         []float32 // the weights' or ones
	gammaHGrad, gammaXGrad []float32
	betaGrad               []float32
	ones, discard          []float32 // [gates·Units]; discard takes gradients nobody asked for
}

func newFold(c Config) fold {
	wide := c.Kind.gates() * c.Units
	return fold{
		scaleH: ones(wide), scaleX: ones(wide), shift: make([]float32, wide), shiftH: make([]float32, wide), bias: make([]float32, wide),
		scaleC: ones(c.Units), shiftC: make([]float32, c.Units),
		ones: ones(wide), discard: make([]float32, wide),
	}
}

func ones(n int) []float32 {
	out := make([]float32, n)
	fill(out, 1)
	return out
}
