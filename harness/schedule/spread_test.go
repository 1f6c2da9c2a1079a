package schedule_test

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// paperDurations are how long the experiments of the suite paper take, in the order in which
// workers are given them: by the plan of "--budget 2m", and by the paper's recipes, whose
// training and scoring are as many times longer as they have more steps and batches.
//
//go:embed testdata/paper.csv
var paperDurations string

// The table in the documentation has these durations, and so has the sentence below it.
func TestPaperOnManyWorkers(t *testing.T) {
	t.Parallel()
	lines, err := csv.NewReader(strings.NewReader(paperDurations)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	durations := func(column, seeds int) (list []time.Duration) {
		for _, line := range lines[1:] {
			seconds, err := strconv.Atoi(line[column])
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, slices.Repeat([]time.Duration{time.Duration(seconds) * time.Second}, seeds)...)
		}
		return list
	}
	const twoMinutes, recipe = 3, 4
	var want strings.Builder
	for _, workers := range []int{1, 2, 4, 8, 16, 32} {
		fmt.Fprintf(&want, "| %d |", workers)
		for _, column := range []int{twoMinutes, recipe} {
			for _, seeds := range []int{1, 3} {
				list := durations(column, seeds)
				took := schedule.Spread(list, workers)
				got := efficiency(list, workers, took)
				if seeds == 3 && workers <= 16 && got < 0.95 {
					t.Errorf("%d workers have an efficiency of %.3f with three seeds, want at least 0.95", workers, got)
				}
				// No order is faster than the longest experiment, nor than all workers busy to the end.
				best := max(slices.Max(list), schedule.Spread(list, 1)/time.Duration(workers))
				fmt.Fprintf(&want, " %.1f | %.2f | %.2f |", took.Hours(), got, efficiency(list, workers, best))
			}
		}
		want.WriteString("\n")
	}
	sorted := durations(twoMinutes, 1)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	ordered := fmt.Sprintf("efficiency of 16 would be %.2f", efficiency(sorted, 16, schedule.Spread(sorted, 16)))
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "many-machines.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{want.String(), ordered, fmt.Sprintf("the %d experiments", len(lines)-1)} {
		if !strings.Contains(string(page), text) {
			t.Errorf("docs/many-machines.md lacks this:\n%s", text)
		}
	}
}

// efficiency is the time of one worker, over the number of workers times their time.
func efficiency(list []time.Duration, workers int, took time.Duration) float64 {
	return float64(schedule.Spread(list, 1)) / (float64(workers) * float64(took))
}
