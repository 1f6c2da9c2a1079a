package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// confidence is that of every interval. With it, nine runs are the fewest of which one outlier
// on either side leaves the interval as it is.
const confidence = 0.95

// Estimate is a median and its confidence interval. The interval is that of order statistics,
// which assumes nothing of how the values are distributed.
type Estimate struct {
	N      int
	Median float64
	// Low and High are the ends of the interval. They are infinite if there are too few values.
	Low, High float64
}

// estimate returns the median of values and its interval.
func estimate(values []float64) Estimate {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), confidence)
	return Estimate{N: len(values), Median: s.Center, Low: s.Lo, High: s.Hi}
}

// Bounded returns whether there were values enough for an interval.
func (e Estimate) Bounded() bool { return !math.IsInf(e.Low, 0) && !math.IsInf(e.High, 0) }

// Outcome says whether a goal was reached.
type Outcome string

// A goal is reached or missed if the whole interval is on one side of it. Otherwise the runs
// cannot tell. A goal is not measured if what it compares with is missing.
const (
	Reached     Outcome = "reached"
	Missed      Outcome = "missed"
	CannotTell  Outcome = "~"
	NotMeasured Outcome = "not measured"
)

// Comparison is what a line says against one other, or of itself if Against is empty.
type Comparison struct {
	Against string
	// Estimate is of the ratio of each round: ours ÷ other against the floor and the like, other ÷
	// ours against a peer. Of the line itself it is of the values.
	Estimate
	Goal    *Goal // nil if the class of processor has none
	Outcome Outcome
	Reason  string // why nothing was measured
}

// Compare returns the comparisons of a line: first that with a goal of its own if it has one, then
// the others in the order of their names.
func (l Line) Compare(goals Goals) []Comparison {
	var all []Comparison
	if len(l.Others) == 0 || goals.find(l.Name, "") != nil {
		all = append(all, l.against("", goals))
	}
	names := slices.Concat(slices.Collect(maps.Keys(l.Others)), slices.Collect(maps.Keys(l.Missing)))
	slices.Sort(names)
	for _, name := range names {
		if name != "" {
			all = append(all, l.against(name, goals))
		}
	}
	return all
}

func (l Line) against(name string, goals Goals) Comparison {
	c := Comparison{Against: name, Goal: goals.find(l.Name, name)}
	if reason := l.Missing[""]; reason != "" {
		c.Reason = reason
	} else {
		c.Reason = l.Missing[name]
	}
	if c.Reason != "" {
		if c.Goal != nil {
			c.Outcome = NotMeasured
		}
		return c
	}
	values := l.Ours.Values
	if name != "" {
		values = ratios(l.Ours, l.Others[name], slices.Contains(multiples, name))
	}
	c.Estimate = estimate(values)
	if c.Goal != nil {
		c.Outcome = c.Goal.judge(c.Estimate)
	}
	return c
}

// ratios returns the ratio of each round.
func ratios(ours, other Sample, multiple bool) []float64 {
	values := make([]float64, min(ours.N(), other.N()))
	for i := range values {
		if multiple {
			values[i] = ours.Values[i] / other.Values[i]
		} else {
			values[i] = other.Values[i] / ours.Values[i]
		}
	}
	return values
}

// judge compares an interval with the goal.
func (g Goal) judge(e Estimate) Outcome {
	inside, outside := e.High <= g.Bound, e.Low > g.Bound
	if g.Least {
		inside, outside = e.Low >= g.Bound, e.High < g.Bound
	}
	switch {
	case inside:
		return Reached
	case outside:
		return Missed
	}
	return CannotTell
}

// Misses returns a sentence for each goal that was missed.
func (r *Result) Misses() []string {
	var misses []string
	for _, line := range r.lines() {
		for _, c := range line.Compare(r.goals()) {
			if c.Outcome == Missed {
				misses = append(misses, fmt.Sprintf("%s: %s, must be %s", line.Name, interval(c, line.Unit), c.Goal.text(line.Unit)))
			}
		}
	}
	return misses
}
