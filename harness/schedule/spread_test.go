package schedule_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/schedule"
)

// The times are added up by hand.
func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		minutes []time.Duration
		workers int
		want    time.Duration
	}{
		{nil, 3, 0},
		{[]time.Duration{7, 5, 4, 3, 3, 2}, 1, 24},
		{[]time.Duration{7, 5, 4, 3, 3, 2}, 2, 12},  // 7+3+2 and 5+4+3
		{[]time.Duration{7, 5, 4, 3, 3, 2}, 3, 9},   // 7+2, 5+3 and 4+3
		{[]time.Duration{2, 3, 3, 4, 5, 7}, 3, 10},  // 2+4, 3+5 and 3+7: another order takes longer
		{[]time.Duration{7, 5, 4, 3, 3, 2}, 6, 7},   // the longest
		{[]time.Duration{7, 5, 4, 3, 3, 2}, 100, 7}, // no less with more workers
	} {
		var durations []time.Duration
		for _, m := range test.minutes {
			durations = append(durations, m*time.Minute)
		}
		if got := schedule.Spread(durations, test.workers); got != test.want*time.Minute {
			t.Errorf("%v minutes on %d workers take %s, want %d minutes", test.minutes, test.workers, got, test.want)
		}
	}
}

// Experiments of which nothing is known keep their order.
func TestLongestFirst(t *testing.T) {
	t.Parallel()
	var specs []*experiment.Spec
	for seed := range uint64(6) {
		specs = append(specs, &experiment.Spec{Seed: seed})
	}
	work := []float64{1, 0, 3, 0, 2, 3}
	var got []uint64
	for _, s := range schedule.LongestFirst(specs, func(s *experiment.Spec) float64 { return work[s.Seed] }) {
		got = append(got, s.Seed)
	}
	if diff := cmp.Diff([]uint64{2, 5, 4, 0, 1, 3}, got); diff != "" {
		t.Errorf("the seeds in their order differ (-want +got):\n%s", diff)
	}
}
