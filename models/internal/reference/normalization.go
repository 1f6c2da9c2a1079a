package reference

import "math"

// normalization is y = γ∘(x − mean)/√(variance + ε) over columns of x, or the
// identity where gamma is nil.
type normalization struct {
	gamma, mean, variance []float64
	frozen                bool
}

func (l LSTM) normalization(x, gamma []float64, frozen func(*Statistics) (mean, variance []float64)) normalization {
	if !l.BatchNorm {
		return normalization{}
	}
	n := normalization{gamma: gamma}
	if l.Frozen != nil {
		n.frozen = true
		n.mean, n.variance = frozen(l.Frozen)
		return n
	}
	cols := len(gamma)
	rows := len(x) / cols
	n.mean, n.variance = make([]float64, cols), make([]float64, cols)
	for j := range cols {
		for row := range rows {
			n.mean[j] += x[row*cols+j] / float64(rows)
		}
		for row := range rows {
			centred := x[row*cols+j] - n.mean[j]
			n.variance[j] += centred * centred / float64(rows)
		}
	}
	return n
}

func (n normalization) apply(x float64, column int) float64 {
	if n.gamma == nil {
		return x
	}
	return n.gamma[column] * n.normalized(x, column)
}

func (n normalization) normalized(x float64, column int) float64 {
	return (x - n.mean[column]) / math.Sqrt(n.variance[column]+Epsilon)
}

// backward returns the gradient with respect to x and adds the one with
// respect to γ to dGamma.
func (n normalization) backward(dy, x, dGamma []float64) []float64 {
	if n.gamma == nil {
		return dy
	}
	cols := len(n.gamma)
	rows := len(x) / cols
	dx := make([]float64, len(x))
	for j := range cols {
		var sum, sumX float64
		for row := range rows {
			sum += dy[row*cols+j]
			sumX += dy[row*cols+j] * n.normalized(x[row*cols+j], j)
		}
		dGamma[j] += sumX
		if n.frozen {
			sum, sumX = 0, 0
		}
		scale := n.gamma[j] / math.Sqrt(n.variance[j]+Epsilon)
		for row := range rows {
			at := row*cols + j
			dx[at] = scale * (dy[at] - sum/float64(rows) - n.normalized(x[at], j)*sumX/float64(rows))
		}
	}
	return dx
}
