// Package bench times Bittern's kernels, training steps and packed inference,
// beside the floor of the machine and the peers that are installed, and says
// which of its goals were reached.
package bench

import (
	"fmt"
	"slices"
)

// Sample is one thing timed N times in this run.
type Sample struct {
	Who     string    `json:"who"`
	Seconds []float64 `json:"seconds"` // in the order they were taken
}

// N is how often the thing was timed.
func (s Sample) N() int { return len(s.Seconds) }

// Median is the middle time, the mean of the two middle ones where N is even.
func (s Sample) Median() float64 {
	sorted := slices.Sorted(slices.Values(s.Seconds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Min is the shortest time.
func (s Sample) Min() float64 { return slices.Min(s.Seconds) }

// Max is the longest time.
func (s Sample) Max() float64 { return slices.Max(s.Seconds) }

// Line is one row of the table: our time, the times that it is compared with, and its goals.
type Line struct {
	Name string // as in Go's benchmark format, without "Benchmark"
	Ours Sample
	// Others are the floor and the peers that were timed, by the names the
	// goals use.
	Others map[string]Sample
	// Missing says why a floor or peer was not timed.
	Missing map[string]string
	Goals   []Goal
}

// Goal is the ratio that a line must reach in comparison with one of its others.
type Goal struct {
	Against string
	// Faster is the least other ÷ ours where it is not 0.
	Faster float64
	// Within is the most ours ÷ other where it is not 0.
	Within float64
}

func (g Goal) String() string {
	if g.Within != 0 {
		return fmt.Sprintf("≤ %g × %s", g.Within, g.Against)
	}
	return fmt.Sprintf("≥ %g × faster than %s", g.Faster, g.Against)
}

// Outcome is how a goal came out.
type Outcome string

// A goal is reached, missed, or was not measured because its peer is missing.
const (
	Reached     Outcome = "reached"
	Missed      Outcome = "missed"
	NotMeasured Outcome = "not measured"
)

// Judge compares the medians. ratio is ours ÷ other for a Within goal and
// other ÷ ours for a Faster goal, 0 where it was not measured.
func (l Line) Judge(g Goal) (outcome Outcome, ratio float64) {
	other, ok := l.Others[g.Against]
	if !ok || l.Ours.N() == 0 {
		return NotMeasured, 0
	}
	if g.Within != 0 {
		ratio = l.Ours.Median() / other.Median()
		if ratio <= g.Within {
			return Reached, ratio
		}
		return Missed, ratio
	}
	ratio = other.Median() / l.Ours.Median()
	if ratio >= g.Faster {
		return Reached, ratio
	}
	return Missed, ratio
}

// Misses lists, in one sentence each, the goals that were measured and not reached.
func (r *Result) Misses() []string {
	var misses []string
	for _, line := range r.Lines {
		for _, goal := range line.Goals {
			if outcome, ratio := line.Judge(goal); outcome == Missed {
				misses = append(misses, fmt.Sprintf("%s: %.2f, must be %s", line.Name, ratio, goal))
			}
		}
	}
	for _, m := range r.Memory {
		if m.Outcome() == Missed {
			misses = append(misses, fmt.Sprintf("%s: %s, must be ≤ %s", m.Name, megabytes(m.Bytes), megabytes(m.Goal)))
		}
	}
	return misses
}
