package metric_test

import (
	"math"
	"strings"
	"testing"

	"bittern/harness/metric"
	"bittern/plugins/network"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	// 8 targets, of which 6 were right, at a mean loss of ln 4 nats.
	e := network.Score{LossSum: 8 * math.Log(4), Count: 8, Correct: 6}
	want := map[metric.Metric]struct {
		score  float64
		higher bool
	}{
		metric.BPC:        {2, false},
		metric.Perplexity: {4, false},
		metric.Accuracy:   {75, true},
		metric.ErrorRate:  {25, false},
	}
	if len(metric.All) != len(want) {
		t.Errorf("metrics %v, want the %d that are tested", metric.All, len(want))
	}
	for _, m := range metric.All {
		w := want[m]
		if got := m.Score(e); math.Abs(got-w.score) > 1e-12 {
			t.Errorf("%s of %+v = %v, want %v", m, e, got, w.score)
		}
		if !math.IsNaN(m.Score(network.Score{})) {
			t.Errorf("%s of nothing = %v, want NaN", m, m.Score(network.Score{}))
		}
		if m.HigherIsBetter() != w.higher || m.Better(2, 1) != w.higher || m.Better(1, 2) == w.higher || m.Better(1, 1) {
			t.Errorf("%s: higher is better %v, 2 beats 1 %v, 1 beats 2 %v, 1 beats 1 %v; want %v, the same, the opposite and false",
				m, m.HigherIsBetter(), m.Better(2, 1), m.Better(1, 2), m.Better(1, 1), w.higher)
		}
		direction := "; lower is better"
		if w.higher {
			direction = "; higher is better"
		}
		if what, ok := strings.CutSuffix(m.Doc(), direction); !ok || what == "" {
			t.Errorf("%s is described as %q, want what it is and %q", m, m.Doc(), direction)
		}
	}
}
