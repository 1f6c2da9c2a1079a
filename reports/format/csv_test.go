package format_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/store"
	"bittern/reports"
)

// CSV has a row for each network on each backend, and one of a network without any.
func TestCSVHasARowForEachDeployment(t *testing.T) {
	t.Parallel()
	one := reports.Figure{N: 1, Mean: new(2.5)}
	r := &reports.Report{Suite: "several", Networks: []*reports.Network{
		{Task: "text", Quantizer: "a", Deployments: []reports.Deployment{
			{Backend: "x", Metric: one, EnergyParts: []store.Part{{Name: "fetch", Value: 0.5}, {Name: "rest", Value: 2}}},
			{Backend: "y", Metric: reports.Figure{Missing: "none"}}}},
		{Task: "words", Quantizer: "b"},
	}}
	records, err := csv.NewReader(strings.NewReader(written(t, r, "csv", reports.View{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]int)
	for i, name := range records[0] {
		if _, twice := at[name]; twice {
			t.Errorf("two columns are called %s", name)
		}
		at[name] = i
	}
	var got []string
	for _, record := range records[1:] {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", record[at["task"]], record[at["quantizer"]], record[at["backend"]], record[at["backend_metric"]], record[at["energy_parts"]]))
	}
	want := []string{"text a x 2.5 fetch 0.5; rest 2", "text a y n/a ", "words b n/a n/a n/a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
