package reference

import "math"

// Softmax is a linear layer, logits = h·Wᵀ + b over Rows rows with W [Classes × Units], and the
// cross-entropy of its softmax.
type Softmax struct{ Rows, Units, Classes int }

// Loss returns the mean of −log p(target) over the targets that are not −1, in nats, and the
// logits [Rows × Classes].
func (s Softmax) Loss(w, bias, h []float64, targets []int32) (float64, []float64) {
	logits := multiply(h, w, s.Rows, s.Classes, s.Units)
	var loss float64
	for row := range s.Rows {
		line := logits[row*s.Classes : (row+1)*s.Classes]
		for j := range line {
			line[j] += bias[j]
		}
		if targets[row] >= 0 {
			loss += (logSumExp(line) - line[targets[row]]) / count(targets)
		}
	}
	return loss, logits
}

// Backward returns the gradients of the loss with respect to W, b and h.
func (s Softmax) Backward(w, bias, h []float64, targets []int32) (dW, dBias, dH []float64) {
	_, logits := s.Loss(w, bias, h, targets)
	dBias = make([]float64, s.Classes)
	for row := range s.Rows {
		line := logits[row*s.Classes : (row+1)*s.Classes]
		if targets[row] < 0 {
			clear(line)
			continue
		}
		lse := logSumExp(line)
		for j := range line {
			line[j] = math.Exp(line[j] - lse)
			if j == int(targets[row]) {
				line[j]--
			}
			line[j] /= count(targets)
			dBias[j] += line[j]
		}
	}
	dW = make([]float64, len(w))
	addOuter(dW, logits, h, s.Rows, s.Classes, s.Units)
	return dW, dBias, multiplyTransposed(logits, w, s.Rows, s.Classes, s.Units)
}

func count(targets []int32) (n float64) {
	for _, target := range targets {
		if target >= 0 {
			n++
		}
	}
	return n
}

func logSumExp(x []float64) float64 {
	largest := math.Inf(-1)
	for _, v := range x {
		largest = max(largest, v)
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(v - largest)
	}
	return largest + math.Log(sum)
}
