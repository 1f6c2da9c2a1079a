// Package bench times Bittern's kernels, training steps and packed inference. It compares them
// with the floor (the matrix products alone, in float32) and with the peers that are installed,
// and says which goals were reached.
package bench

import (
	"fmt"
	"slices"
)

// Sample is something that was timed N times in this run.
type Sample struct {
	Who     string    `json:"who"`
	Seconds []float64 `json:"seconds"` // in the order they were taken
}

// N returns how often it was timed.
func (s Sample) N() int { return len(s.Seconds) }

// Median returns the median, in seconds. If N is even, it is the mean of the two middle times.
func (s Sample) Median() float64 {
	sorted := slices.Sorted(slices.Values(s.Seconds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Min returns the shortest time, in seconds.
func (s Sample) Min() float64 { return slices.Min(s.Seconds) }

// Max returns the longest time, in seconds.
func (s Sample) Max() float64 { return slices.Max(s.Seconds) }

// Line is a row of the table: our time, those that it is compared with, and its goals.
type Line struct {
	Name string // as in Go's benchmark format, without "Benchmark"
	Ours Sample
	// Others are the samples that ours is compared with, such as the floor and peers, by the
	// names that goals use.
	Others map[string]Sample
	// Missing gives the reason for each that was not timed.
	Missing map[string]string
	Goals   []Goal
}

// Goal is a ratio that must be reached in comparison with one of the others.
type Goal struct {
	Against string
	// Faster, if it is not 0, is the least allowed value of other ÷ ours.
	Faster float64
	// Within, if it is not 0, is the largest allowed value of ours ÷ other.
	Within float64
}

func (g Goal) String() string {
	if g.Within != 0 {
		return fmt.Sprintf("≤ %g × %s", g.Within, g.Against)
	}
	return fmt.Sprintf("≥ %g × faster than %s", g.Faster, g.Against)
}

// Outcome says whether a goal was reached.
type Outcome string

// A goal is reached, missed, or not measured because its peer is missing.
const (
	Reached     Outcome = "reached"
	Missed      Outcome = "missed"
	NotMeasured Outcome = "not measured"
)

// Judge compares the medians. ratio is ours ÷ other for Within, and other ÷ ours for Faster. It
// is 0 if the goal was not measured.
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

// Misses returns a sentence for each goal that was measured and not reached.
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
