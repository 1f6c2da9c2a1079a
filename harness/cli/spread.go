package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bittern/harness/experiment"
	"bittern/harness/schedule"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/reports/table"
)

// spread says how long workers take for a suite.
type spread struct {
	Teams   []teamTime `json:"teams"`
	Longest string     `json:"longest_experiment,omitempty"` // empty if nothing is left to run
	Seconds float64    `json:"longest_seconds"`              // that it takes on a worker
	Timed   float64    `json:"timed_deploying_seconds"`      // on the machine of run, after the workers
}

// teamTime is the time of so many workers.
type teamTime struct {
	Workers    int      `json:"workers"`
	Seconds    float64  `json:"seconds"`              // without the backends that time themselves
	Efficiency *float64 `json:"efficiency,omitempty"` // the time of one worker, over workers times Seconds

	// The same where run is given this plan: the experiments are then in the order of its times.
	Planned           float64  `json:"planned_seconds"`
	PlannedEfficiency *float64 `json:"planned_efficiency,omitempty"`
}

func checkTeams(workers []int) error {
	for _, n := range workers {
		if n < 1 || n > maxWorkers {
			return plugins.Problemf("--workers must be between 1 and %d, not %d", maxWorkers, n)
		}
	}
	return nil
}

// orderOf returns experiments in the order in which run gives them to workers; nothing unless
// that is wanted.
func orderOf(ctx context.Context, catalogue *host.Catalogue, settings runSettings, specs []*experiment.Spec, wanted bool) (_ []*experiment.Spec, err error) {
	if !wanted {
		return nil, nil
	}
	checker := experiment.Checker{Catalogue: catalogue, Deadline: settings.Deadline, Runs: settings.Runs}
	defer func() { err = errors.Join(err, checker.Close()) }()
	work := make(map[*experiment.Spec]float64)
	for _, s := range specs {
		work[s] = s.Work(checker.Size(ctx, s)).Steps
	}
	return schedule.LongestFirst(specs, func(s *experiment.Spec) float64 { return work[s] }), nil
}

// spreadOf says how long workers take for experiments in this order. Lines has those that are
// not done.
func spreadOf(order []*experiment.Spec, lines map[string]planned, workers []int) *spread {
	var out spread
	var durations []time.Duration
	var sum, longest time.Duration
	for _, s := range order {
		line, ok := lines[s.String()]
		if !ok || line.Impossible != "" {
			continue
		}
		d := time.Duration(line.worker() * float64(time.Second))
		if durations, sum = append(durations, d), sum+d; d > longest {
			longest, out.Longest = d, s.String()
		}
		out.Timed += line.Timed
	}
	out.Seconds = longest.Seconds()
	ordered := slices.Clone(durations)
	slices.Sort(ordered)
	slices.Reverse(ordered)
	for _, n := range workers {
		took, planned := schedule.Spread(durations, n), schedule.Spread(ordered, n)
		team := teamTime{Workers: n, Seconds: took.Seconds(), Planned: planned.Seconds()}
		if took > 0 {
			team.Efficiency = new(float64(sum) / (float64(n) * float64(took)))
			team.PlannedEfficiency = new(float64(sum) / (float64(n) * float64(planned)))
		}
		out.Teams = append(out.Teams, team)
	}
	return &out
}

func (p *program) writeSpread(s spread, list listSettings) error {
	t := table.New("workers", "time", "efficiency", "time with --plan", "efficiency with --plan")
	t.AlignRight(0, 1, 2, 3, 4)
	bound := 0 // the first team that takes as long as the longest experiment
	for _, team := range s.Teams {
		efficiency, planned := "n/a", "n/a"
		if team.Efficiency != nil {
			efficiency, planned = strconv.FormatFloat(*team.Efficiency, 'f', 2, 64), strconv.FormatFloat(*team.PlannedEfficiency, 'f', 2, 64)
			if team.Seconds == s.Seconds && (bound == 0 || team.Workers < bound) {
				bound = team.Workers
			}
		}
		if err := t.Append(strconv.Itoa(team.Workers), clock(team.Seconds), efficiency, clock(team.Planned), planned); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(p.stdout); err != nil {
		return err
	}
	if err := p.writeTable(t, list); err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintln(&text, "\nEfficiency is the time of one worker, over the number of workers times their time. With --plan, run hands out the experiments by the times of this plan, which it reads from a file (--format json).")
	if s.Longest == "" {
		fmt.Fprintln(&text, "It is n/a, because nothing is left to run.")
	}
	if bound > 0 {
		fmt.Fprintf(&text, "From %d workers on it gets no less: an experiment runs whole on a worker, and %s takes %s.\n", bound, s.Longest, clock(s.Seconds))
	}
	if s.Timed > 0 {
		fmt.Fprintf(&text, "Then the machine of run deploys on the backends that time themselves: %s.\n", clock(s.Timed))
	}
	_, err := fmt.Fprint(p.stdout, text.String())
	return err
}
