package format

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"

	"bittern/harness/metric"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
)

// The units of the benchmark format, beside those of scores. Costs are of a time step, as
// in the tables; steps are those of all streams.
const (
	deployedUnit = "deployed-B" // all that is packed
	machineUnit  = "machine-B"  // all that the backend stores
	energyUnit   = "J/step"     // see [reports.Deployment]
	timeUnit     = "sec/step"   // likewise
	areaUnit     = "mm2"
	modelScore   = "deployable-" // what the model scores, before the name of the metric
	machineScore = "computed-"   // what the backend scores
)

// writeBenchstat writes the Go benchmark format (https://go.dev/design/14313-benchmark-format):
// a line for each seed of a network on each of its backends, or one alone where it has
// none. Seeds are samples of one benchmark, so that benchstat compares two reports. Lines
// are grouped by the machine that the backend ran on.
func writeBenchstat(w io.Writer, r *reports.Report, _ reports.View) error {
	if err := finished(r); err != nil {
		return err
	}
	out := benchfmt.NewWriter(w)
	for _, unit := range units(r) {
		if err := out.Write(unit); err != nil {
			return err
		}
	}
	for i := range r.Experiments {
		e := &r.Experiments[i]
		if len(e.Deployments) == 0 {
			if err := writeLine(out, e, nil); err != nil {
				return err
			}
		}
		for j := range e.Deployments {
			if err := writeLine(out, e, &e.Deployments[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// finished refuses a report without any result: formats for other tools have nothing to say
// about it.
func finished(r *reports.Report) error {
	if len(r.Experiments) > 0 {
		return nil
	}
	return plugins.Problemf("no experiment of the suite %s is finished, so there is nothing to write; run the suite, or see with --format markdown what became of it", r.Suite)
}

// units says for each unit whether less of it is better.
func units(r *reports.Report) []*benchfmt.UnitMetadata {
	var all []*benchfmt.UnitMetadata
	add := func(unit, better string) {
		all = append(all, &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"}, OrigUnit: unit, Value: better})
	}
	for _, m := range metric.All {
		for _, e := range r.Experiments {
			if e.Metric != string(m) {
				continue
			}
			better := "lower"
			if m.HigherIsBetter() {
				better = "higher"
			}
			add(modelScore+field(e.Metric), better)
			add(machineScore+field(e.Metric), better)
			break
		}
	}
	for _, unit := range []string{deployedUnit, machineUnit, energyUnit, timeUnit, areaUnit} {
		add(unit, "lower")
	}
	return all
}

// writeLine writes the line of an experiment, of one of its deployments where d is not
// nil. Without a figure there is no line.
func writeLine(out *benchfmt.Writer, e *reports.Experiment, d *store.Deployment) error {
	result := &benchfmt.Result{Iters: 1}
	add := func(value *float64, unit string) {
		if value != nil {
			result.Values = append(result.Values, benchfmt.Value{Value: *value, Unit: unit})
		}
	}
	add(e.FrozenModel, modelScore+field(e.Metric))
	add(new(float64(e.DeployedBytes)), deployedUnit)
	backend := "none"
	if d != nil {
		backend = d.Backend
		add(d.Metric, machineScore+field(e.Metric))
		if c := d.Cost; c != nil {
			result.Iters = max(1, c.N) // timed sequences
			add(perStep(c, store.Sum(c.Energy), len(c.Energy) > 0), energyUnit)
			if c.Seconds != nil {
				add(perStep(c, *c.Seconds, true), timeUnit)
			}
			if len(c.Memory) > 0 {
				add(new(store.Sum(c.Memory)), machineUnit)
			}
			if len(c.Area) > 0 {
				add(new(store.Sum(c.Area)), areaUnit)
			}
		}
		if err := addMachine(result, *d); err != nil {
			return err
		}
	}
	// A name that ended in a number behind a hyphen would end in a count of processors.
	result.Name = benchfmt.Name(fmt.Sprintf("Network/task=%s/model=%s/quantizer=%s/backend=%s/metric=%s",
		field(e.Task), field(e.ModelName()), field(e.Quantizer), field(backend), field(e.Metric)))
	return out.Write(result)
}

// perStep is a cost of the whole sequence over its time steps; nil where it is not known.
func perStep(c *store.Cost, whole float64, known bool) *float64 {
	if steps := c.TimeSteps(); known && steps > 0 {
		return new(whole / steps)
	}
	return nil
}

// addMachine adds on which machine a deployment was computed. Benchstat puts other
// machines into other tables.
func addMachine(result *benchfmt.Result, d store.Deployment) error {
	if len(d.Provenance) == 0 {
		return nil
	}
	var made provenance.Deployment
	if err := json.Unmarshal(d.Provenance, &made); err != nil {
		return fmt.Errorf("the provenance of experiment %s on %s: %w", d.Experiment, d.Backend, err)
	}
	for _, config := range [][2]string{{"goos", made.OS}, {"goarch", made.Arch}, {"cpu", made.CPU}} {
		if text := plugins.Line(config[1]); text != "" {
			result.Config = append(result.Config, benchfmt.Config{Key: config[0], Value: []byte(text), File: true})
		}
	}
	return nil
}

// field is a text as a part of a benchmark's name or unit, which blanks and slashes
// would end.
func field(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '/' || unicode.IsSpace(c) {
			return '_'
		}
		return c
	}, plugins.Line(text))
}
