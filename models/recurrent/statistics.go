package recurrent

import (
	"errors"
	"math"
)

// Statistics says which means and variances normalise a forward pass.
type Statistics int

const (
	// Batch takes them from the batch itself.
	Batch Statistics = iota
	// Calibrate does so too and merges them into [Pass.Running].
	Calibrate
	// Frozen uses those of [Pass.Running].
	Frozen
)

// Running are the means and biased variances of everything that was gathered,
// per time step: H and X [Steps × 4·Units], C [Steps × Units]; of a layer with
// Shared they have one row for all steps. The variance of H before the first
// step is 0 where all sequences start from one state, and Shared leaves it out.
type Running struct {
	Sequences                                            float64 // how many they were gathered from
	MeanH, VarianceH, MeanX, VarianceX, MeanC, VarianceC []float32
}

// runningSteps is the number of rows of the running statistics.
func (c LSTMConfig) runningSteps() int {
	if c.Shared {
		return 1
	}
	return c.Steps
}

// firstHidden is the first step whose Wh·h the running statistics take in.
func (c LSTMConfig) firstHidden() int {
	if c.Shared && !c.Carry {
		return 1
	}
	return 0
}

// gather merges the moments of step t, columns from ≤ j < from+len(batchMean)
// of rows of width, into the running mean and variance, which take in the steps
// from first on.
func (l *LSTM) gather(mean, variance, batchMean, batchRstd []float32, t, first, width, from int) {
	if t < first {
		return
	}
	rows, before := float64(l.rows()), l.Pass.Running.Sequences
	if l.config.Shared {
		before = before*float64(l.config.Steps-first) + float64(t-first)*rows
		t = 0
	}
	at, n := t*width+from, len(batchMean)
	merge(mean[at:at+n], variance[at:at+n], before, batchMean, batchRstd, rows)
}

func (r *Running) check(steps, units int) error {
	if r == nil {
		return errors.New("LSTM: the pass needs running statistics and has none")
	}
	return errors.Join(
		mismatch("LSTM", "the mean of Wh·h", len(r.MeanH), steps, lstmGates*units),
		mismatch("LSTM", "the variance of Wh·h", len(r.VarianceH), steps, lstmGates*units),
		mismatch("LSTM", "the mean of Wx·x", len(r.MeanX), steps, lstmGates*units),
		mismatch("LSTM", "the variance of Wx·x", len(r.VarianceX), steps, lstmGates*units),
		mismatch("LSTM", "the mean of c", len(r.MeanC), steps, units),
		mismatch("LSTM", "the variance of c", len(r.VarianceC), steps, units))
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

// layerStatistics are the statistics a pass normalised with, for its backward
// pass: H and X [Steps][4·Units], C [Steps][Units]. Without normalization only
// C is there, one row of mean 0 and reciprocal deviation 1.
type layerStatistics struct {
	meanH, rstdH, meanX, rstdX, meanC, rstdC []float32
}

func newLayerStatistics(steps, units int, batchNorm bool) layerStatistics {
	if !batchNorm {
		return layerStatistics{meanC: make([]float32, units), rstdC: ones(units)}
	}
	var s layerStatistics
	for _, field := range []*[]float32{&s.meanH, &s.rstdH, &s.meanX, &s.rstdX} {
		*field = make([]float32, steps*lstmGates*units)
	}
	s.meanC, s.rstdC = make([]float32, steps*units), make([]float32, steps*units)
	return s
}

// freeze takes the statistics of every step from r.
func (s *layerStatistics) freeze(r *Running, c LSTMConfig) {
	for _, part := range []struct{ mean, rstd, runningMean, runningVariance []float32 }{
		{s.meanH, s.rstdH, r.MeanH, r.VarianceH}, {s.meanX, s.rstdX, r.MeanX, r.VarianceX}, {s.meanC, s.rstdC, r.MeanC, r.VarianceC},
	} {
		width := len(part.runningMean)
		copy(part.mean, part.runningMean)
		for j, v := range part.runningVariance {
			part.rstd[j] = float32(1 / math.Sqrt(float64(v)+Epsilon))
		}
		for at := width; c.Shared && at < len(part.mean); at += width {
			copy(part.mean[at:], part.mean[:width])
			copy(part.rstd[at:], part.rstd[:width])
		}
	}
}

// fold is the working memory of one step's normalizations as scales and
// shifts, which without normalization are 1 and the bias.
type fold struct {
	scaleH, scaleX, shift []float32 // [4·Units]
	scaleC, shiftC        []float32 // [Units]
	discard               []float32 // takes gradients nobody asked for
}

func newFold(units int) fold {
	return fold{
		scaleH: ones(lstmGates * units), scaleX: ones(lstmGates * units), shift: make([]float32, lstmGates*units),
		scaleC: ones(units), shiftC: make([]float32, units), discard: make([]float32, units),
	}
}

func ones(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	return out
}
