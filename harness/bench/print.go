package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"bittern/reports/table"
)

// WriteTable writes the result as a Markdown table. It has a row for each goal, and one for each
// other comparison.
func (r *Result) WriteTable(w io.Writer) error {
	t := table.New("what", "ours", "n", "held against", "its time", "n", "ratio", "goal", "outcome")
	t.AlignRight(1, 2, 4, 5, 6)
	for _, line := range r.Lines {
		ours, n := "n/a", "0"
		if line.Ours.N() > 0 {
			ours, n = spread(line.Ours), fmt.Sprint(line.Ours.N())
		}
		for _, goal := range line.Goals {
			outcome, ratio := line.Judge(goal)
			row := []string{line.Name, ours, n, goal.Against, "n/a", "n/a", "n/a", goal.String(), string(outcome)}
			if outcome == NotMeasured {
				row[8] = "n/a: " + line.Missing[goal.Against]
			} else {
				other := line.Others[goal.Against]
				row[3], row[4], row[5] = other.Who, spread(other), fmt.Sprint(other.N())
				row[6] = fmt.Sprintf("%.2f", ratio)
			}
			if err := t.Append(row...); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(line.Others)) {
			if line.Ours.N() == 0 || slices.ContainsFunc(line.Goals, func(g Goal) bool { return g.Against == name }) {
				continue
			}
			other := line.Others[name]
			ratio := other.Median() / line.Ours.Median()
			if name == floor {
				ratio = 1 / ratio // how many times the floor's time, as the goals have it
			}
			if err := t.Append(line.Name, ours, n, other.Who, spread(other), fmt.Sprint(other.N()), fmt.Sprintf("%.2f", ratio), "none", ""); err != nil {
				return err
			}
		}
	}
	for _, m := range r.Memory {
		bytes, ratio, outcome := "n/a", "n/a", string(m.Outcome())
		if m.Missing == "" {
			bytes, ratio = megabytes(m.Bytes), fmt.Sprintf("%.2f", float64(m.Bytes)/float64(m.Goal))
		} else {
			outcome = "n/a: " + m.Missing
		}
		if err := t.Append(m.Name, bytes, "1", "its limit", megabytes(m.Goal), "n/a", ratio, "≤ "+megabytes(m.Goal), outcome); err != nil {
			return err
		}
	}
	return t.Write(w)
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

// spread writes a median with its minimum and maximum, in a suitable unit.
func spread(s Sample) string {
	unit, scale := "s", 1.0
	switch m := s.Median(); {
	case m < 1e-3:
		unit, scale = "µs", 1e6
	case m < 1:
		unit, scale = "ms", 1e3
	}
	return fmt.Sprintf("%.4g %s (%.4g–%.4g)", s.Median()*scale, unit, s.Min()*scale, s.Max()*scale)
}

// WriteBenchmark writes every time as a line in Go's benchmark format, which benchstat reads.
func (r *Result) WriteBenchmark(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: bittern\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, r.CPU); err != nil {
		return err
	}
	for _, line := range r.Lines {
		samples := []Sample{line.Ours}
		samples[0].Who = "ours"
		for _, name := range slices.Sorted(maps.Keys(line.Others)) {
			other := line.Others[name]
			other.Who = name
			samples = append(samples, other)
		}
		for _, s := range samples {
			for _, seconds := range s.Seconds {
				if _, err := fmt.Fprintf(w, "Benchmark%s/by=%s 1 %.0f ns/op\n", line.Name, benchmarkWord(s.Who), seconds*1e9); err != nil {
					return err
				}
			}
		}
	}
	for _, m := range r.Memory {
		if m.Missing != "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "Benchmark%s/by=ours 1 %d peak-bytes\n", m.Name, m.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// benchmarkWord returns a name without spaces, as the format requires.
func benchmarkWord(name string) string { return strings.ReplaceAll(name, " ", "-") }

type jsonSample struct {
	Who           string    `json:"who"`
	N             int       `json:"n"`
	MedianSeconds float64   `json:"median_seconds"`
	MinSeconds    float64   `json:"min_seconds"`
	MaxSeconds    float64   `json:"max_seconds"`
	Seconds       []float64 `json:"seconds"`
}

type jsonGoal struct {
	Goal    string   `json:"goal"`
	Against string   `json:"against"`
	Faster  float64  `json:"faster,omitempty"`
	Within  float64  `json:"within,omitempty"`
	Ratio   *float64 `json:"ratio"`
	Outcome Outcome  `json:"outcome"`
}

type jsonLine struct {
	Name    string                `json:"name"`
	Ours    *jsonSample           `json:"ours"`
	Others  map[string]jsonSample `json:"others"`
	Missing map[string]string     `json:"missing,omitempty"`
	Goals   []jsonGoal            `json:"goals"`
}

func toJSON(s Sample) jsonSample {
	return jsonSample{s.Who, s.N(), s.Median(), s.Min(), s.Max(), s.Seconds}
}

// line returns the line that WriteJSON has written.
func (j jsonLine) line() Line {
	l := newLine(j.Name, Sample{})
	if j.Ours != nil {
		l.Ours = Sample{j.Ours.Who, j.Ours.Seconds}
	}
	for name, s := range j.Others {
		l.Others[name] = Sample{s.Who, s.Seconds}
	}
	maps.Copy(l.Missing, j.Missing)
	for _, g := range j.Goals {
		l.Goals = append(l.Goals, Goal{Against: g.Against, Faster: g.Faster, Within: g.Within})
	}
	return l
}

// WriteJSON writes every figure with n, median, minimum and maximum.
func (r *Result) WriteJSON(w io.Writer) error {
	out := struct {
		CPU    string     `json:"cpu"`
		Lines  []jsonLine `json:"lines"`
		Memory []Memory   `json:"memory"`
	}{CPU: r.CPU, Lines: []jsonLine{}, Memory: append([]Memory{}, r.Memory...)}
	for _, line := range r.Lines {
		j := jsonLine{Name: line.Name, Others: map[string]jsonSample{}, Missing: line.Missing, Goals: []jsonGoal{}}
		if line.Ours.N() > 0 {
			ours := toJSON(line.Ours)
			j.Ours = &ours
		}
		for name, s := range line.Others {
			j.Others[name] = toJSON(s)
		}
		for _, goal := range line.Goals {
			outcome, ratio := line.Judge(goal)
			g := jsonGoal{Goal: goal.String(), Against: goal.Against, Faster: goal.Faster, Within: goal.Within, Outcome: outcome}
			if outcome != NotMeasured {
				g.Ratio = &ratio
			}
			j.Goals = append(j.Goals, g)
		}
		out.Lines = append(out.Lines, j)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
