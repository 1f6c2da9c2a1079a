// Package metric says how results are scored: by which figure of merit, in which unit,
// and whether more of it is better.
package metric

import (
	"math"

	"bittern/plugins/network"
)

// Metric is a figure of merit computed from sums over targets. Its text is its name
// in tables and in the run store, with its unit.
type Metric string

// The metrics of the tasks.
const (
	BPC        Metric = "BPC"          // bits per character: the mean loss in nats over ln 2
	Perplexity Metric = "perplexity"   // e to the mean loss in nats
	Accuracy   Metric = "accuracy %"   // targets that were the most probable class, of 100
	ErrorRate  Metric = "error rate %" // targets that were not, of 100
)

// All lists every metric.
var All = []Metric{BPC, Perplexity, Accuracy, ErrorRate}

// Score computes the metric from sums over targets. It is NaN when nothing was
// counted.
func (m Metric) Score(s network.Score) float64 {
	mean, correct := s.LossSum/float64(s.Count), float64(s.Correct)/float64(s.Count)
	switch m {
	case BPC:
		return mean / math.Ln2
	case Perplexity:
		return math.Exp(mean)
	case Accuracy:
		return 100 * correct
	case ErrorRate:
		return 100 * (1 - correct)
	}
	panic("metric: unknown metric " + string(m))
}

// HigherIsBetter says in which direction a score improves.
func (m Metric) HigherIsBetter() bool {
	switch m {
	case BPC, Perplexity, ErrorRate:
		return false
	case Accuracy:
		return true
	}
	panic("metric: unknown metric " + string(m))
}

// Better says whether score a beats score b.
func (m Metric) Better(a, b float64) bool {
	if m.HigherIsBetter() {
		return a > b
	}
	return a < b
}

// String is the metric's name, with its unit.
func (m Metric) String() string { return string(m) }

// Doc says in words what the metric is, and in which direction it improves.
func (m Metric) Doc() string {
	direction := "lower is better"
	if m.HigherIsBetter() {
		direction = "higher is better"
	}
	what := map[Metric]string{
		BPC:        "bits per character",
		Perplexity: "e to the mean loss in nats a target",
		Accuracy:   "share of the targets that were given the highest probability",
		ErrorRate:  "share of the targets that were not given the highest probability",
	}[m]
	return what + "; " + direction
}
