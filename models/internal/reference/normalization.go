package reference

import "math"

// Epsilon is added to every variance, as in Cooijmans et al., "Recurrent Batch
// Normalization" (ICLR 2017).
const Epsilon = 1e-5

// Normalization says how a layer normalises its products.
type Normalization string

// The normalizations.
const (
	None   Normalization = ""
	Batch  Normalization = "batch"  // mean and variance of each feature over the batch
	Over   Normalization = "layer"  // mean and variance over the features of a gate, for each sequence
	Weight Normalization = "weight" // the rows of the matrices are divided by their norms
)

// normalized is y = γ∘x̂ + β with x̂ = (x − mean)/√(variance + ε). Mean and variance are taken
// over groups of elements. Without groups y is x.
type normalized struct {
	y, hat         []float64 // [rows × columns]
	gamma          []float64 // [columns]
	groups         [][]int   // the indices of the elements of each group
	rstd           []float64 // of each group
	mean, variance []float64 // of each column, with Batch
	frozen         bool
}

// normalize normalises x [Batch × columns]. If mean is not nil, mean and variance are those of
// each column, and constants. Sequences that are not valid are left out.
func (l Layer) normalize(x, gamma, beta []float64, valid []bool, mean, variance []float64) normalized {
	y := append([]float64(nil), x...)
	n := normalized{y: y, gamma: gamma, frozen: mean != nil, mean: mean, variance: variance}
	columns := len(x) / l.Batch
	switch l.Normalization {
	case Batch:
		n.hat = make([]float64, len(x))
		for j := range columns {
			var group []int
			for row, ok := range valid {
				if ok {
					group = append(group, row*columns+j)
				}
			}
			m, v := moments(x, group)
			if n.frozen {
				m, v = mean[j], variance[j]
			} else {
				n.mean, n.variance = append(n.mean, m), append(n.variance, v)
			}
			n.add(x, group, m, v)
		}
	case Over:
		n.hat = make([]float64, len(x))
		for row := range l.Batch {
			var group []int
			for j := range columns {
				group = append(group, row*columns+j)
			}
			m, v := moments(x, group)
			n.add(x, group, m, v)
		}
	}
	for i := range y {
		if n.groups != nil {
			y[i] = gamma[i%columns] * n.hat[i]
		}
		if beta != nil {
			y[i] += beta[i%columns]
		}
	}
	return n
}

func (n *normalized) add(x []float64, group []int, mean, variance float64) {
	rstd := 1 / math.Sqrt(variance+Epsilon)
	for _, i := range group {
		n.hat[i] = (x[i] - mean) * rstd
	}
	n.groups, n.rstd = append(n.groups, group), append(n.rstd, rstd)
}

func moments(x []float64, group []int) (mean, variance float64) {
	for _, i := range group {
		mean += x[i] / float64(len(group))
	}
	for _, i := range group {
		variance += (x[i] - mean) * (x[i] - mean) / float64(len(group))
	}
	return mean, variance
}

// backward returns the gradient with respect to x. It adds those with respect to γ and β to
// dGamma and dBeta, unless these are nil.
func (n normalized) backward(dy, dGamma, dBeta []float64) []float64 {
	for i := range dy {
		if len(dBeta) > 0 {
			dBeta[i%len(dBeta)] += dy[i]
		}
	}
	if n.groups == nil {
		return dy
	}
	dx := make([]float64, len(dy))
	columns := len(n.gamma)
	for k, group := range n.groups {
		var mean, slope float64
		for _, i := range group {
			dGamma[i%columns] += dy[i] * n.hat[i]
			if !n.frozen {
				mean += dy[i] * n.gamma[i%columns] / float64(len(group))
				slope += dy[i] * n.gamma[i%columns] * n.hat[i] / float64(len(group))
			}
		}
		for _, i := range group {
			dx[i] = n.rstd[k] * (dy[i]*n.gamma[i%columns] - mean - n.hat[i]*slope)
		}
	}
	return dx
}

// effective returns the matrix that products use for w [len(gain) rows]. With Weight, each row
// is g·w/‖w‖.
func (l Layer) effective(w, gain []float64) []float64 {
	if l.Normalization != Weight {
		return w
	}
	out := make([]float64, len(w))
	width := len(w) / len(gain)
	for i := range w {
		out[i] = gain[i/width] * w[i] / norm(w[i/width*width:][:width])
	}
	return out
}

// effectiveBackward turns dW, the gradient of the effective matrix, into that of w, and computes
// that of the gain.
func (l Layer) effectiveBackward(w, gain, dW, dGain []float64) {
	if l.Normalization != Weight {
		return
	}
	width := len(w) / len(gain)
	for j, g := range gain {
		row, d := w[j*width:][:width], dW[j*width:][:width]
		size := norm(row)
		for i := range row {
			dGain[j] += d[i] * row[i] / size
		}
		for i := range row {
			d[i] = g / size * (d[i] - dGain[j]*row[i]/size)
		}
	}
}

func norm(row []float64) float64 {
	var squares float64
	for _, v := range row {
		squares += v * v
	}
	return math.Sqrt(squares)
}
