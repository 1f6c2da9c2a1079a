package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bittern/plugins"
)

func (r *Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	records := [][]string{{"suite", "task", "model", "quantizer", "normalization", "backend", "metric", "seeds",
		"deployable", "deployable_std", "paper_style", "paper_style_std", "recurrent_bytes", "deployment_bytes", "energy_joules", "seconds", "cost_measured",
		"timed_sequences", "time_spread", "steps", "setting", "substitutions", "doubt"}}
	number := func(f *float64) string {
		if f == nil {
			return "n/a"
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	for _, row := range r.Rows {
		sequences, spread := "n/a", "n/a"
		if row.Timed != nil {
			sequences, spread = strconv.Itoa(row.Timed.Sequences), number(row.Timed.Spread)
		}
		var substitutions, doubts []string
		for _, s := range row.Substitutions {
			substitutions = append(substitutions, fmt.Sprintf("%s: %s → %s, %s", s.Weight, s.From, s.To, s.Reason))
		}
		for _, d := range row.Doubts {
			doubts = append(doubts, fmt.Sprintf("seed %d: %s", d.Seed, d.Reason))
		}
		records = append(records, []string{cell(r.Suite), cell(row.Task), cell(row.Model), cell(row.Quantizer), cell(row.Normalization), cell(row.Backend), cell(row.Metric),
			strconv.Itoa(len(row.Seeds)), number(row.Deployable.Mean), number(row.Deployable.Std),
			number(row.PaperStyle.Mean), number(row.PaperStyle.Std), number(&row.RecurrentBytes), number(&row.DeployedBytes),
			number(row.Energy.Mean), number(row.Seconds.Mean), strconv.FormatBool(row.Measured),
			sequences, spread, list(row.Steps), cell(row.Setting), cell(strings.Join(substitutions, "; ")), cell(strings.Join(doubts, "; "))})
	}
	return out.WriteAll(records)
}

// cell is a text of one line that no spreadsheet takes for a formula: one that begins
// like a formula gets an apostrophe in front
// (https://owasp.org/www-community/attacks/CSV_Injection). Of tabs and carriage
// returns, which can start one too, [plugins.Line] leaves none.
func cell(text string) string {
	line := plugins.Line(text)
	for _, start := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(line, start) {
			return "'" + line
		}
	}
	return line
}
