package format_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format"
	"bittern/reports/internal/sample"
)

// golden is the report of [sample.Golden].
func golden(t *testing.T) *reports.Report {
	t.Helper()
	return collect(t, sample.Golden(t), "golden")
}

func collect(t *testing.T, s *store.Store, suite string) *reports.Report {
	t.Helper()
	r, err := reports.Collect(t.Context(), s, suite, reports.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written is a report in a format of one stream.
func written(t *testing.T, r *reports.Report, name string, view reports.View) string {
	t.Helper()
	f, err := format.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := f.Stream(&out, r, view); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnUnknownFormatIsTold(t *testing.T) {
	t.Parallel()
	_, err := format.Find("markdwn")
	if _, problem := errors.AsType[*plugins.Problem](err); !problem || !strings.Contains(err.Error(), `did you mean "markdown"?`) {
		t.Errorf("an unknown format: got %v", err)
	}
}

// Text from suites and plugins that is markup, a formula or a terminal's command
// comes out as text in every format.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	const script, formula, escape = "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a\x1b[31m\r\n| b |\u009b2J\U000e0041"
	c := sample.Trained(t, 1, 20, `"training":{"epochs":8}`)
	c.Task, c.Model, c.Quantizer, c.Backends = script, formula, escape, []string{"\t@SUM(1)", "-1+1"}
	s := sample.Stored(t, c)
	for _, backend := range c.Backends {
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: backend, Metric: new(-2.0), Doubt: script, Cost: &store.Cost{
			Notes: []string{script}, Missing: map[string]string{"energy": escape, "seconds": script},
			Substitutions: []store.Substitution{{Weight: script, From: escape, To: script, Reason: escape}}}})
	}
	failed := sample.Trained(t, 2, 20, `"training":{"epochs":8}`)
	failed.Task, failed.Status, failed.Reason = script, store.Failed, escape
	if err := s.PutSuite(t.Context(), "suite", []store.Experiment{failed}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.PutExperiment(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	r := collect(t, s, "suite")
	for _, kind := range format.All() {
		text := written(t, r, kind.Name, reports.View{})
		for _, c := range text {
			if c != '\n' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xe0041) {
				t.Errorf("%s has the character %U:\n%q", kind.Name, c, text)
				break
			}
		}
		if kind.Name != "csv" && kind.Name != format.Terminal && strings.Contains(text, "<script>alert") {
			t.Errorf("%s has a script:\n%s", kind.Name, text)
		}
	}
	markdown := written(t, r, format.Markdown, reports.View{})
	if lines := strings.Count(markdown, "\n|"); lines != 2+1+2+2 {
		t.Errorf("the tables have %d lines, want one of a header and one row, and one of a header and two rows:\n%s", lines, markdown)
	}
	table := written(t, r, "csv", reports.View{})
	for _, want := range []string{"," + script + ",", ",'" + formula + ",", ",'@SUM(1),", ",'-1+1,", ",-2,"} {
		if !strings.Contains(table, want) {
			t.Errorf("CSV has no %q:\n%s", want, table)
		}
	}
	var back reports.Report
	if err := json.Unmarshal([]byte(written(t, r, "json", reports.View{})), &back); err != nil {
		t.Fatal(err)
	}
	if row := back.Networks[0]; row.Task != script || row.Quantizer != escape {
		t.Errorf("JSON reads back as %q and %q, want the names as they are", row.Task, row.Quantizer)
	}
}
