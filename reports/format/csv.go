package format

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
)

// csvColumns are the columns of the CSV format in order, after the suite's name. They hold the
// fields of [reports.Network], [reports.FullPrecision] and [reports.Deployment] that have
// these names in JSON; the columns from backend_metric on belong to the backend. d is nil for
// a network that no backend has deployed. Missing figures are "n/a".
var csvColumns = []struct {
	name string
	cell func(n *reports.Network, d *reports.Deployment) string
}{
	{"task", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Task) }},
	{"model", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Model) }},
	{"quantizer", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Quantizer) }},
	{"normalization", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Normalization) }},
	{"setting", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Setting) }},
	{"backend", ofBackend(func(d *reports.Deployment) string { return inert(d.Backend) })},
	{"metric", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Metric) }},
	{"seeds", func(n *reports.Network, _ *reports.Deployment) string { return strconv.Itoa(len(n.Seeds)) }},
	{"steps", func(n *reports.Network, _ *reports.Deployment) string { return commas(n.Steps) }},
	{"epochs", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.Epochs.Mean) }},
	{"recipe_epochs", func(n *reports.Network, _ *reports.Deployment) string { return strconv.Itoa(n.RecipeEpochs) }},
	{"bits_per_weight", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.BitsPerWeight.Mean) }},
	{"deployable", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.Deployable.Mean) }},
	{"deployable_std", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.Deployable.Std) }},
	{"paper_style", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.PaperStyle.Mean) }},
	{"paper_style_std", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.PaperStyle.Std) }},
	{"delta", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.FullPrecision.Delta) }},
	{"delta_p", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.FullPrecision.P) }},
	{"frontier", func(n *reports.Network, _ *reports.Deployment) string { return strconv.FormatBool(n.Frontier) }},
	{"recurrent_bytes", func(n *reports.Network, _ *reports.Deployment) string { return digits(&n.WeightBytes) }},
	{"recurrent_ratio", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.FullPrecision.WeightRatio) }},
	{"deployment_bytes", func(n *reports.Network, _ *reports.Deployment) string { return digits(&n.DeployedBytes) }},
	{"deployment_ratio", func(n *reports.Network, _ *reports.Deployment) string { return digits(n.FullPrecision.DeployedRatio) }},
	{"doubt", func(n *reports.Network, _ *reports.Deployment) string { return inert(n.Doubts.String()) }},
	{"backend_metric", ofBackend(func(d *reports.Deployment) string { return digits(d.Metric.Mean) })},
	{"backend_metric_std", ofBackend(func(d *reports.Deployment) string { return digits(d.Metric.Std) })},
	{"backend_bytes", ofBackend(func(d *reports.Deployment) string { return digits(d.Bytes) })},
	{"energy_joules", ofBackend(func(d *reports.Deployment) string { return digits(d.Energy.Mean) })},
	{"energy_std", ofBackend(func(d *reports.Deployment) string { return digits(d.Energy.Std) })},
	{"energy_ratio", ofBackend(func(d *reports.Deployment) string { return digits(d.EnergyRatio) })},
	{"seconds", ofBackend(func(d *reports.Deployment) string { return digits(d.Seconds.Mean) })},
	{"seconds_std", ofBackend(func(d *reports.Deployment) string { return digits(d.Seconds.Std) })},
	{"seconds_ratio", ofBackend(func(d *reports.Deployment) string { return digits(d.SecondsRatio) })},
	{"cycles", ofBackend(func(d *reports.Deployment) string { return digits(d.Cycles.Mean) })},
	{"sequence_steps", ofBackend(func(d *reports.Deployment) string { return digits(&d.Steps) })},
	{"area_mm2", ofBackend(func(d *reports.Deployment) string { return digits(d.Area.Mean) })},
	{"recurrent_energy_joules", ofBackend(func(d *reports.Deployment) string { return digits(d.RecurrentEnergy.Mean) })},
	{"recurrent_area_mm2", ofBackend(func(d *reports.Deployment) string { return digits(d.RecurrentArea.Mean) })},
	{"recurrent_energy_ratio", ofBackend(func(d *reports.Deployment) string { return digits(d.RecurrentEnergyRatio) })},
	{"backend_recurrent_bytes", ofBackend(func(d *reports.Deployment) string { return digits(d.RecurrentBytes) })},
	{"cost_measured", ofBackend(func(d *reports.Deployment) string { return strconv.FormatBool(d.Measured) })},
	{"timed_sequences", ofBackend(func(d *reports.Deployment) string {
		if d.Timed == nil {
			return absent
		}
		return strconv.Itoa(d.Timed.Sequences)
	})},
	{"time_spread", ofBackend(func(d *reports.Deployment) string {
		if d.Timed == nil {
			return absent
		}
		return digits(d.Timed.Spread)
	})},
	{"energy_parts", ofBackend(func(d *reports.Deployment) string { return inert(partsText(d.EnergyParts)) })},
	{"area_parts", ofBackend(func(d *reports.Deployment) string { return inert(partsText(d.AreaParts)) })},
	{"memory_parts", ofBackend(func(d *reports.Deployment) string { return inert(partsText(d.MemoryParts)) })},
	{"published", func(n *reports.Network, _ *reports.Deployment) string {
		var texts []string
		for _, p := range n.Published {
			texts = append(texts, fmt.Sprintf("%g (%s)", p.Value, p.Source))
		}
		return inert(strings.Join(texts, "; "))
	}},
	{"substitutions", ofBackend(func(d *reports.Deployment) string { return inert(d.Substitutions.String()) })},
	{"backend_doubt", ofBackend(func(d *reports.Deployment) string { return inert(d.Doubts.String()) })},
}

// absent is written for a missing figure.
const absent = "n/a"

func digits(f *float64) string {
	if f == nil {
		return absent
	}
	return strconv.FormatFloat(*f, 'g', -1, 64)
}

// commas writes numbers as in "10, 20".
func commas(numbers []uint64) string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, strconv.FormatUint(n, 10))
	}
	return strings.Join(texts, ", ")
}

func ofBackend(cell func(*reports.Deployment) string) func(*reports.Network, *reports.Deployment) string {
	return func(_ *reports.Network, d *reports.Deployment) string {
		if d == nil {
			return absent
		}
		return cell(d)
	}
}

// partsText writes parts with their values in joules a time step or bytes.
func partsText(parts []store.Part) string {
	var texts []string
	for _, p := range parts {
		texts = append(texts, fmt.Sprintf("%s %g", p.Name, p.Value))
	}
	return strings.Join(texts, "; ")
}

// writeCSV writes one row for each network on each of its backends, or a single row if it has
// none.
func writeCSV(w io.Writer, r *reports.Report, _ reports.View) error {
	header := []string{"suite"}
	for _, c := range csvColumns {
		header = append(header, c.name)
	}
	records := [][]string{header}
	add := func(n *reports.Network, d *reports.Deployment) {
		record := []string{inert(r.Suite)}
		for _, c := range csvColumns {
			record = append(record, c.cell(n, d))
		}
		records = append(records, record)
	}
	for _, n := range r.Networks {
		if len(n.Deployments) == 0 {
			add(n, nil)
		}
		for i := range n.Deployments {
			add(n, &n.Deployments[i])
		}
	}
	return csv.NewWriter(w).WriteAll(records)
}

// inert is a text of one line that no spreadsheet takes for a formula: one that begins
// like a formula gets an apostrophe in front
// (https://owasp.org/www-community/attacks/CSV_Injection). Of tabs and carriage
// returns, which can start one too, [plugins.Line] leaves none.
func inert(text string) string {
	line := plugins.Line(text)
	for _, start := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(line, start) {
			return "'" + line
		}
	}
	return line
}
