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

// WriteTable prints the lines as a Markdown table: one row for every goal.
func WriteTable(w io.Writer, lines []Line) error {
	t := table.New("what", "ours", "n", "held against", "its time", "n", "ratio", "goal", "outcome")
	t.AlignRight(1, 2, 4, 5, 6)
	for _, line := range lines {
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
	}
	return t.Write(w)
}

// spread writes a median with its minimum and maximum in a fitting unit.
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

// WriteBenchmark prints every time in Go's benchmark format, which benchstat
// reads: one result line a run.
func WriteBenchmark(w io.Writer, features string, lines []Line) error {
	if _, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: bittern\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, features); err != nil {
		return err
	}
	for _, line := range lines {
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
	return nil
}

// benchmarkWord makes a name that holds no space, as the format asks.
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

// WriteJSON prints every figure with n, median, minimum and maximum.
func WriteJSON(w io.Writer, features string, lines []Line) error {
	out := struct {
		CPU   string     `json:"cpu"`
		Lines []jsonLine `json:"lines"`
	}{CPU: features, Lines: []jsonLine{}}
	for _, line := range lines {
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
			g := jsonGoal{Goal: goal.String(), Against: goal.Against, Outcome: outcome}
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
