package recurrent

import (
	"math"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/vecmath"
)

// A layer that reads one feature x multiplies it by one weight w for each column. Over a
// batch, w·x has the mean w·x̄ and the variance w²·var(x), so only the mean and variance
// of x have to be computed.

// featureMoments are what a layer of one feature keeps.
type featureMoments struct {
	mean, variance []float32 // of the feature over the batch, [Steps]
}

// measureFeature finds mean and variance of the feature at every step, over the sequences
// that have it.
func (l *layer) measureFeature() {
	for s := l.first(); s < l.last(); s++ {
		var sum, squares, count float64
		t := l.time(s)
		for row := range l.rows() {
			if l.reads(s, row) {
				sum += float64(l.feature(t, row, 0))
				count++
			}
		}
		mean := sum / max(1, count)
		for row := range l.rows() {
			if l.reads(s, row) {
				deviation := float64(l.feature(t, row, 0)) - mean
				squares += deviation * deviation
			}
		}
		l.single.mean[s], l.single.variance[s] = float32(mean), float32(squares/max(1, count))
	}
}

// reads says whether a sequence has step s.
func (l *layer) reads(s, row int) bool { return !l.config.Masked || l.has(s, row) }

// singleMoments are the moments of w·x at step s, of the columns from the first one on.
func (l *layer) singleMoments(s, first int, mean, rstd []float32) {
	if l.config.Masked && l.mask.count(s) == 0 {
		clear(mean)
		clear(rstd)
		return
	}
	c, v := l.single.mean[s], l.single.variance[s]
	for j, w := range l.columns[first:][:len(mean)] {
		mean[j] = w * c
		rstd[j] = 1 / float32(math.Sqrt(float64(w*w*v+Epsilon)))
	}
}

// singleBackward is affinePairBackward for one feature. With dy the gradient of the
// normalised product, γ·x̂, and Q = Σ dy·(x−x̄) over the rows of a column,
//
//	∂L/∂γ = w·rstd·Q
//	∂L/∂w = γ·rstd·Q·(1 − w²·var(x)·rstd²) = γ·rstd³·Epsilon·Q
//
// The second is so small because the gradient through the statistics cancels all of it
// but a term with Epsilon. With constant statistics the two are Σ dy·x̂ and γ·rstd·Σ dy·x.
func (l *layer) singleBackward(w *worker, s, from, to int, gradient gates.Matrix) {
	t, n, f := l.time(s), to-from, &l.fold
	batch := l.batchStatistics()
	sums, products, centre := w.sum[:n], w.products[:n], w.centre[:n]
	clear(sums)
	clear(products)
	clear(centre)
	if batch {
		fill(centre, l.single.mean[s])
	}
	gates.AffinePairGradient{
		Rows: l.config.Batch, Columns: n,
		Gradient: gradient, Hidden: l.at(l.products, t, l.stride, from), Input: l.inputProducts(t, from),
		HiddenStatistics: l.hiddenStatistics(s, from, to), HiddenGamma: f.gammaH[from:to],
		InputStatistics: gates.Statistics{Mean: centre, RStd: f.ones[:n]},
		BetaGradient:    sums, HiddenGammaGradient: f.gammaHGrad[from:to], InputGammaGradient: products,
		HiddenGradient: l.hiddenProductGradient(t, from),
	}.Backward()
	vecmath.Add(f.betaGrad[from:to], sums)
	statistics, gammas, weights := l.inputStatistics(s, from, to), f.gammaX[from:to], l.columns[from:to]
	for j, q := range products {
		weight, rstd := weights[j], statistics.RStd[j]
		scale := gammas[j] * rstd
		if batch {
			f.gammaXGrad[from+j] += weight * rstd * q
			l.columnsGrad[from+j] += scale * rstd * rstd * Epsilon * q
		} else {
			f.gammaXGrad[from+j] += rstd * (weight*q - statistics.Mean[j]*sums[j])
			l.columnsGrad[from+j] += scale * q
		}
	}
	if l.featuresWanted {
		l.singleFeatures(w, s, from, gradient, sums, products)
	}
}

// singleFeatures adds to the gradient of the feature, for every sequence that has step s,
// the sum over columns of w·∂L/∂(w·x), given the sums of singleBackward.
func (l *layer) singleFeatures(w *worker, s, from int, gradient gates.Matrix, sums, products []float32) {
	t, n, slopes := l.time(s), len(sums), w.centre
	statistics := l.inputStatistics(s, from, from+n)
	var mean, slope, centre float64
	for j := range n {
		weight, rstd := l.columns[from+j], statistics.RStd[j]
		slopes[j] = l.fold.gammaX[from+j] * rstd * weight
		mean += float64(slopes[j] * sums[j])
		slope += float64(slopes[j] * weight * weight * rstd * rstd * products[j])
	}
	if l.batchStatistics() {
		count := float64(l.config.Batch)
		if l.config.Masked {
			count = float64(l.mask.count(s))
		}
		mean, slope, centre = mean/count, slope/count, float64(l.single.mean[s])
	} else {
		mean, slope = 0, 0
	}
	features := w.features[t*l.config.Batch:]
	for row := range l.config.Batch {
		if l.reads(s, row) {
			features[row] += float32(vecmath.Dot(gradient.Data[row*gradient.Stride:][:n], slopes[:n]) - mean -
				(float64(l.feature(t, row, 0))-centre)*slope)
		}
	}
}
