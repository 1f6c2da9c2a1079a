package format_test

import (
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
