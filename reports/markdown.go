package reports

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bittern/baselines/published"
	"bittern/harness/metric"
	"bittern/reports/table"
)

// footnotes numbers texts in the order of their first use.
type footnotes []string

// mark is a text's number in brackets.
func (f *footnotes) mark(text string) string { return f.marks([]string{text}) }

// marks are the numbers of several texts, ascending, in one pair of brackets.
func (f *footnotes) marks(texts []string) string {
	var numbers []int
	for _, text := range texts {
		at := slices.Index(*f, text)
		if at < 0 {
			at = len(*f)
			*f = append(*f, text)
		}
		numbers = append(numbers, at+1)
	}
	slices.Sort(numbers)
	return strings.ReplaceAll(fmt.Sprint(numbers), " ", ", ")
}

// unverified marks a published number that no source at hand prints.
const unverified = "†"

func (r *Report) markdown(w io.Writer) error {
	var notes footnotes
	for _, name := range r.metrics() {
		if err := r.table(w, name, &notes); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return r.footer(w, notes)
}

// metrics lists the rows' metrics in order; each has a table of its own, since
// a BPC and a perplexity share no column.
func (r *Report) metrics() []string {
	var metrics []string
	for _, row := range r.Rows {
		if !slices.Contains(metrics, row.Metric) {
			metrics = append(metrics, row.Metric)
		}
	}
	return metrics
}

func (r *Report) table(w io.Writer, name string, notes *footnotes) error {
	step := "step"
	if metric.Metric(name) == metric.BPC {
		step = "char"
	}
	t := table.New("task", "model", "quantizer", "norm.", "backend", "seeds",
		"deployable "+name, "paper-style "+name, "recurrent KB", "deployment KB", "energy nJ/"+step, "time µs/"+step, "cost is",
		"published "+name, "published KB")
	t.AlignRight(5, 6, 7, 8, 9, 10, 11)
	for _, row := range r.Rows {
		if row.Metric != name {
			continue
		}
		cost := "simulated"
		if row.Measured {
			cost = "measured"
		}
		if len(row.Notes) > 0 {
			cost += " " + notes.marks(row.Notes)
		}
		value, size := printed(row.Published, notes)
		if err := t.Append(row.Task, row.Model, row.Quantizer, row.Normalization, row.Backend, strconv.Itoa(len(row.Seeds)),
			row.text(row.Deployable, 1, 3, notes), row.text(row.PaperStyle, 1, 3, notes),
			kilobytes(row.RecurrentBytes), kilobytes(row.DeployedBytes),
			row.text(row.Energy, 1e9, 1, notes), row.text(row.Seconds, 1e6, 2, notes), cost, value, size); err != nil {
			return err
		}
	}
	return t.Write(w)
}

// text writes a figure times scale: "1.702", "1.702 ± 0.004" or "n/a [1]", and
// "1.702 (n=1)" where it is of another number of seeds than the row.
func (r Row) text(f Figure, scale float64, decimals int, notes *footnotes) string {
	if f.Mean == nil {
		return "n/a " + notes.mark("n/a: "+f.Missing)
	}
	text := strconv.FormatFloat(*f.Mean*scale, 'f', decimals, 64)
	if f.Std != nil {
		text += " ± " + strconv.FormatFloat(*f.Std*scale, 'f', decimals, 64)
	}
	if f.N != len(r.Seeds) {
		text += fmt.Sprintf(" (n=%d)", f.N)
	}
	return text
}

func kilobytes(bytes float64) string { return strconv.FormatFloat(bytes/1000, 'f', 1, 64) }

// printed writes the published numbers of a row with their sources.
func printed(results []published.Result, notes *footnotes) (values, sizes string) {
	if len(results) == 0 {
		reason := "n/a " + notes.mark("n/a: nobody published this experiment")
		return reason, reason
	}
	var v, s []string
	for _, result := range results {
		mark := notes.mark(citation(result.Source))
		dagger := ""
		if !result.Verified {
			dagger = unverified
		}
		v = append(v, fmt.Sprintf("%g%s %s", result.Value, dagger, mark))
		if result.SizeKB > 0 {
			counts := "recurrent weights, KB of 1000 bytes"
			if result.SizeConvention == published.Deployed {
				counts = "whole deployment, KB of 1024 bytes"
			}
			text := fmt.Sprintf("%g%s %s", result.SizeKB, dagger, notes.mark(counts))
			if result.Note != "" {
				text += " " + notes.mark(result.Note)
			}
			s = append(s, text)
		}
	}
	if len(s) == 0 {
		s = append(s, "n/a "+notes.mark("n/a: no size was published"))
	}
	return strings.Join(v, ", "), strings.Join(s, ", ")
}

func citation(key string) string {
	for _, s := range published.Sources {
		if s.Key == key {
			return s.Citation
		}
	}
	return key
}

func (r *Report) footer(w io.Writer, notes footnotes) error {
	var b strings.Builder
	if len(r.Rows) == 0 {
		fmt.Fprintf(&b, "No experiment of the suite %s is finished.\n\n", r.Suite)
	}
	for i, note := range notes {
		fmt.Fprintf(&b, "- [%d] %s\n", i+1, strings.Join(strings.Fields(note), " "))
	}
	if r.recalled() {
		fmt.Fprintf(&b, "- %s published number recalled, not verified in a source\n", unverified)
	}
	if len(r.Rows) > 0 {
		b.WriteString("- deployable: weights drawn once and packed, statistics frozen, computed by the backend from the packed artifact; " +
			"paper-style: batch statistics, weights drawn anew for every batch\n" +
			"- recurrent KB: weights of recurrent layers alone; deployment KB: codes, scales, normalization tables, states and output layer as the backend stores them; KB of 1000 bytes\n")
	}
	for _, name := range r.metrics() {
		if m := metric.Metric(name); slices.Contains(metric.All, m) {
			fmt.Fprintf(&b, "- %s: %s\n", m, m.Doc())
		}
	}
	for _, p := range r.Provenance {
		fmt.Fprintf(&b, "- %s\n", p)
	}
	for _, u := range r.Unfinished {
		fmt.Fprintf(&b, "- %s\n", u)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// recalled says whether any published number of the rows is unverified.
func (r *Report) recalled() bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool {
		return slices.ContainsFunc(row.Published, func(p published.Result) bool { return !p.Verified })
	})
}
