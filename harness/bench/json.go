package bench

import (
	"encoding/json"
	"fmt"
	"io"
)

// jsonResult is a result with what can be said of it.
type jsonResult struct {
	*Result
	Class       Class            `json:"class,omitempty"`
	NotJudged   string           `json:"not_judged,omitempty"` // why the processor has no class
	Comparisons []jsonComparison `json:"comparisons"`
}

// jsonComparison is a comparison of a line. Figures that were not measured are null.
type jsonComparison struct {
	Line    string   `json:"line"`
	Against string   `json:"against,omitempty"` // empty if it is of the line's own values
	N       int      `json:"n"`
	Median  *float64 `json:"median"`
	Low     *float64 `json:"low"` // of the interval of 95 % confidence; null if n is too small
	High    *float64 `json:"high"`
	Goal    string   `json:"goal,omitempty"`
	Bound   *float64 `json:"bound,omitempty"`
	Outcome Outcome  `json:"outcome,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}

// WriteJSON writes everything that was measured, and each comparison with its interval and outcome.
func (r *Result) WriteJSON(w io.Writer) error {
	out := jsonResult{Result: r, Comparisons: []jsonComparison{}}
	out.Class, out.NotJudged = classify(r.Processor)
	for _, line := range r.lines() {
		for _, c := range line.Compare(r.goals()) {
			j := jsonComparison{Line: line.Name, Against: c.Against, N: c.N, Outcome: c.Outcome, Reason: c.Reason}
			if c.N > 0 {
				j.Median = &c.Median
				if c.Bounded() {
					j.Low, j.High = &c.Low, &c.High
				}
			}
			if c.Goal != nil {
				j.Goal, j.Bound = c.Goal.text(line.Unit), &c.Goal.Bound
			}
			out.Comparisons = append(out.Comparisons, j)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

// ReadJSON reads a result that WriteJSON has written.
func ReadJSON(text []byte) (*Result, error) {
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("the result of a bench: %w", err)
	}
	return r, nil
}
