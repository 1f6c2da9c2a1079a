package vecmath

import (
	"math"
	"slices"
)

// Softmax sets dst[i] = exp(x[i]) / Σ exp(x[j]). The largest element is
// subtracted first, so no finite x overflows; the sum is taken in float64.
//
// A result is within 3e-7 of the true value and, where x[i] lies d ≤ 65 below the
// largest element, within 5e-7 + 6e-8·d of it relative to it: a subtraction in
// float32 errs by half an ulp of d. Elements more than 66 below the largest give 0.
func Softmax(dst, x []float32) {
	sameLength("Softmax", len(dst), len(x))
	if len(x) > 0 {
		active().softmax(dst, x, 1)
	}
}

// SoftmaxCrossEntropy returns −log softmax(logits)[target] in nats, within
// 3e-7, and replaces logits by their gradient, scale·(softmax(logits) −
// onehot(target)). A NaN among the logits makes the result and all gradients NaN.
func SoftmaxCrossEntropy(logits []float32, target int, scale float32) float64 {
	checkTarget(logits, target)
	return active().softmaxCrossEntropy(logits, target, scale)
}

// CrossEntropy returns what SoftmaxCrossEntropy does, to the bit, and leaves
// the logits as they are.
func CrossEntropy(logits []float32, target int) float64 {
	checkTarget(logits, target)
	return active().logSumExp(logits) - float64(logits[target])
}

// ArgMax returns the index of the largest element, the first of equals, and −1
// for an empty slice. NaN is never the largest; if all elements are NaN, it returns 0.
func ArgMax(x []float32) int { return active().argMax(x) }

// SumExp returns Σ math.Exp(x[i] − shift) in float64, to the bit as that sum is in order. shift is
// the largest element.
func SumExp(x []float32, shift float32) float64 { return active().sumExponentials(x, float64(shift)) }

func (k *kernels) sumExponentials(x []float32, shift float64) float64 {
	sum := 0.0
	var powers [256]float64
	for len(x) > 0 {
		part := x[:min(len(x), len(powers))]
		x = x[len(part):]
		done := 0
		if k.exponentials != nil {
			whole := len(part) / k.lanes * k.lanes
			if k.exponentials(powers[:whole], part[:whole], shift) {
				done = whole
			}
		}
		for i, v := range part[done:] {
			powers[done+i] = math.Exp(float64(v) - shift)
		}
		for _, power := range powers[:len(part)] {
			sum += power
		}
	}
	return sum
}

func (k *kernels) argMax(x []float32) int {
	if len(x) == 0 {
		return -1
	}
	return max(0, slices.Index(x, k.max(x)))
}

func (k *kernels) softmaxCrossEntropy(logits []float32, target int, scale float32) float64 {
	score := float64(logits[target])
	loss := k.softmax(logits, logits, scale) - score
	logits[target] -= scale
	return loss
}

// logSumExp returns log Σ exp(x[i]).
func (k *kernels) logSumExp(x []float32) float64 {
	most := k.max(x)
	return float64(most) + math.Log(k.sumExp(x, most))
}

// softmax sets dst = scale·softmax(x) and returns log Σ exp(x[i]).
func (k *kernels) softmax(dst, x []float32, scale float32) float64 {
	most := k.max(x)
	sum := k.expSum(dst, x, most)
	k.scale(dst, float32(float64(scale)/sum))
	return float64(most) + math.Log(sum)
}
