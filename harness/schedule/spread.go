package schedule

import (
	"cmp"
	"slices"
	"time"

	"bittern/harness/experiment"
)

// LongestFirst returns experiments in the order in which workers are given them: the longest
// first, so that the last worker does not finish alone. Work compares how long they take.
func LongestFirst(specs []*experiment.Spec, work func(*experiment.Spec) float64) []*experiment.Spec {
	sorted := slices.Clone(specs)
	slices.SortStableFunc(sorted, func(a, b *experiment.Spec) int { return cmp.Compare(work(b), work(a)) })
	return sorted
}

// Spread says how long equal workers take for experiments of these durations, when each takes
// the next one, in this order, as soon as it has nothing to do. An experiment runs whole on one
// worker, so that it never takes less than the longest. There must be a worker at least.
func Spread(durations []time.Duration, workers int) (makespan time.Duration) {
	busy := make([]time.Duration, workers) // until when each worker is
	for _, d := range durations {
		first := 0
		for i, until := range busy {
			if until < busy[first] {
				first = i
			}
		}
		busy[first] += d
		makespan = max(makespan, busy[first])
	}
	return makespan
}
