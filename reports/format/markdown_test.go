package format_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/reports"
	"bittern/reports/format"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMarkdownIsGolden(t *testing.T) {
	t.Parallel()
	out := written(t, golden(t), format.Markdown, reports.View{})
	path := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out); diff != "" {
		t.Errorf("the report differs from %s (-want +got); run the test with -update if it is meant to:\n%s", path, diff)
	}
}

// A table of accuracies says its unit and which way is better.
func TestAMetricHasItsUnitAndDirection(t *testing.T) {
	t.Parallel()
	mean := 98.6
	r := &reports.Report{Suite: "images", Networks: []*reports.Network{
		{Task: "smnist", Metric: "accuracy %", Seeds: []uint64{1}, Deployable: reports.Figure{N: 1, Mean: &mean}, Deployments: []reports.Deployment{{Backend: "cpu", Energy: reports.Figure{N: 1, Mean: &mean}}}},
		{Task: "odd", Metric: "furlongs"},
	}}
	out := written(t, r, format.Markdown, reports.View{})
	for _, want := range []string{" deployable accuracy % |", " energy nJ/step |", "98.600", "- accuracy %: share of the targets that were given the highest probability; higher is better\n", " deployable furlongs |"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
}
