package experiment

import (
	"math"
	"slices"

	"bittern/harness/metric"
	"bittern/harness/store"
	"bittern/plugins/network"
)

// tally sums the scores of batches by the groups that the task names.
type tally struct {
	groups []group // in the order of their first target
	total  network.Score
}

type group struct {
	name string
	sum  network.Score
}

// add adds the score of a batch to its group. It ignores a batch without a target.
func (t *tally) add(name string, batch network.Score) {
	if batch.Count == 0 {
		return
	}
	t.total.Add(batch)
	at := slices.IndexFunc(t.groups, func(g group) bool { return g.name == name })
	if at < 0 {
		at = len(t.groups)
		t.groups = append(t.groups, group{name: name})
	}
	t.groups[at].sum.Add(batch)
}

// scored is the result of an evaluation.
type scored struct {
	metric float64            // in the task's: the mean over groups of the metric of each
	loss   float64            // mean, nats a target
	groups []store.GroupScore // nil where the score has no parts
}

// score is the result so far; its figures are NaN if nothing was added.
func (t *tally) score(m metric.Metric) scored {
	s := scored{loss: t.total.LossSum / float64(t.total.Count)}
	sum := 0.0
	for _, g := range t.groups {
		one := m.Score(g.sum)
		sum += one
		s.groups = append(s.groups, store.GroupScore{Group: g.name, Score: one, Targets: g.sum.Count})
	}
	s.metric = sum / float64(len(t.groups))
	if len(t.groups) == 1 && t.groups[0].name == "" {
		s.groups = nil
	}
	return s
}

func (s scored) finite() bool { return !notFinite(s.metric) && !notFinite(s.loss) }

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
