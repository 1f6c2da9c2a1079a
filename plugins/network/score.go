package network

import "math"

// Score sums over the targets of a batch that are not −1.
type Score struct {
	LossSum float64 // −log probability of the target, nats
	Count   int     // targets
	Correct int     // targets that were the most probable class, the first where several are
}

// Add adds the other score to s.
func (s *Score) Add(other Score) {
	s.LossSum += other.LossSum
	s.Count += other.Count
	s.Correct += other.Correct
}

// Target adds the score of one target to s, from the logits of all classes. candidates has a
// 1 for each class to choose from; nil means all of them. A target of −1 adds nothing.
//
// The loss is the negative logarithm of the target's softmax, in float64. The logits are
// shifted by the largest, so that no exponential overflows. The loss of a target that is not
// a candidate is infinite.
func (s *Score) Target(logits []float32, target int32, candidates []int32) {
	addTarget(s, logits, target, candidates)
}

// TargetOf adds the score of one target as [Score.Target] does where all classes are candidates.
// best is the first of the most probable classes, and sum that of math.Exp of all logits less the
// largest, in order.
func (s *Score) TargetOf(logits []float32, target int32, best int, sum float64) {
	addSummed(s, logits, target, best, sum)
}

func addTarget[T float32 | float64](s *Score, logits []T, target int32, candidates []int32) {
	if target < 0 {
		return
	}
	best, sum := -1, 0.0
	for i, v := range logits {
		if allowed(candidates, i) && (best < 0 || v > logits[best]) {
			best = i
		}
	}
	shift := float64(logits[best])
	for i, v := range logits {
		if allowed(candidates, i) {
			sum += math.Exp(float64(v) - shift)
		}
	}
	if !allowed(candidates, int(target)) {
		s.Count++
		s.LossSum = math.Inf(1)
		return
	}
	addSummed(s, logits, target, best, sum)
}

// addSummed adds the score of a target. sum is that of the exponentials of all logits, shifted by
// that of the class best.
func addSummed[T float32 | float64](s *Score, logits []T, target int32, best int, sum float64) {
	s.Count++
	if best == int(target) {
		s.Correct++
	}
	s.LossSum += math.Log(sum) + float64(logits[best]) - float64(logits[target])
}

func allowed(candidates []int32, class int) bool { return candidates == nil || candidates[class] == 1 }
