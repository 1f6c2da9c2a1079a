package format_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format"
)

// benchmarks reads the Go benchmark format as benchstat does.
func benchmarks(t *testing.T, text string) (results []*benchfmt.Result, units benchfmt.UnitMetadataMap) {
	t.Helper()
	reader := benchfmt.NewReader(strings.NewReader(text), "report")
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Errorf("%v in:\n%s", record, text)
		case *benchfmt.Result:
			results = append(results, record.Clone())
		}
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	return results, reader.Units()
}

func TestBenchstatReadsItsFormat(t *testing.T) {
	t.Parallel()
	results, units := benchmarks(t, written(t, golden(t), "benchstat", reports.View{}))
	var names []string
	for _, r := range results {
		names = append(names, string(r.Name))
	}
	binary := "Network/task=warpeace/model=lstm-512/quantizer=stochastic-binary/backend="
	want := []string{binary + "asic/metric=BPC", binary + "cpu/metric=BPC", binary + "asic/metric=BPC", binary + "cpu/metric=BPC"}
	if len(names) != 10 || !cmp.Equal(want, names[:4]) {
		t.Errorf("the lines are of %q, want both seeds of a network on a backend to have one name", names)
	}
	asic, cpu := results[0], results[1]
	for unit, want := range map[string]float64{"deployable-BPC": 1.79, "computed-BPC": 1.79, "deployed-B": 4e6, "machine-B": 2153344, "J/step": 9.7e-7, "sec/step": 26.2e-6} {
		if got, ok := asic.Value(unit); !ok || got < want*0.999999 || got > want*1.000001 {
			t.Errorf("%s of the first line is %v, want %v", unit, got, want)
		}
	}
	if _, ok := cpu.Value("J/step"); ok || cpu.Iters != 50 || cpu.GetConfig("cpu") != "a CPU" {
		t.Errorf("the line of a timed machine is %+v, want no energy, 50 timed sequences and its CPU", cpu)
	}
	if units.GetBetter("computed-BPC") != -1 || units.GetBetter("J/step") != -1 {
		t.Error("benchstat is not told that less is better")
	}
}

// In the Go benchmark format a hyphen and a number at the end of a name are no part of it.
func TestBenchstatKeepsNumberedNames(t *testing.T) {
	t.Parallel()
	r := golden(t)
	r.Experiments[0].Deployments[0].Backend = "cpu-2"
	results, _ := benchmarks(t, written(t, r, "benchstat", reports.View{}))
	if _, parts := results[0].Name.Parts(); string(parts[3]) != "/backend=cpu-2" {
		t.Errorf("the parts of the name are %q", parts)
	}
}

func TestBMFHasItsShape(t *testing.T) {
	t.Parallel()
	var got map[string]map[string]struct {
		Value      *float64
		LowerValue *float64 `json:"lower_value"`
		UpperValue *float64 `json:"upper_value"`
	}
	decoder := json.NewDecoder(strings.NewReader(written(t, golden(t), "bmf", reports.View{})))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 9 {
		t.Errorf("%d benchmarks, want three networks and each on two backends", len(got))
	}
	for name, measures := range got {
		for measure, m := range measures {
			if m.Value == nil || measure != strings.ToLower(measure) || len(measure) > 64 {
				t.Errorf("%s has the measure %q with the value %v", name, measure, m.Value)
			}
		}
	}
	score := got["warpeace/lstm-512/stochastic-binary"]["deployable-bpc"]
	if fmt.Sprintf("%.3f %.4f %.4f", *score.Value, *score.LowerValue, *score.UpperValue) != "1.795 1.7879 1.8021" {
		t.Errorf("two seeds have %v, from %v to %v", *score.Value, *score.LowerValue, *score.UpperValue)
	}
	if one := got["warpeace/lstm-512/binaryconnect"]["deployable-bpc"]; one.LowerValue != nil {
		t.Errorf("a single seed has the bound %v", *one.LowerValue)
	}
	if latency := got["warpeace/lstm-512/none/cpu"]["latency"]; fmt.Sprintf("%.1f", *latency.Value) != "4200.0" {
		t.Errorf("the latency is %v, want 4200 ns a step", *latency.Value)
	}
}

// What is empty is told, in place of a file without anything in it. Tables, CSV and JSON
// say it themselves.
func TestAReportWithoutResultsIsRefused(t *testing.T) {
	t.Parallel()
	empty := &reports.Report{Suite: "mine"}
	for _, f := range format.All() {
		var err error
		switch {
		case f.Folder != nil:
			err = f.Folder(nil, empty) // which is not touched
		case f.Shaped || f.Name == "csv" || f.Name == "json":
			continue
		default:
			err = f.Stream(new(strings.Builder), empty, reports.View{})
		}
		if _, problem := errors.AsType[*plugins.Problem](err); !problem || !strings.Contains(err.Error(), "no experiment of the suite mine is finished") {
			t.Errorf("%s of nothing: %v", f.Name, err)
		}
	}
}
