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

// marks are the numbers of several texts in one pair of brackets, ascending, three and
// more in a row as "1–3".
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
	numbers = slices.Compact(numbers)
	var parts []string
	for i := 0; i < len(numbers); {
		end := i
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		if end-i >= 2 {
			parts = append(parts, fmt.Sprintf("%d–%d", numbers[i], numbers[end]))
			i = end + 1
			continue
		}
		parts = append(parts, strconv.Itoa(numbers[i]))
		i++
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

const (
	unverified  = "†" // a published number that no source at hand prints
	doubtful    = "‼" // a deployed score that is not to be trusted
	substituted = "≠" // weights that a backend keeps otherwise than deployed
	wide        = "≈" // a time whose spread is above wideSpread
)

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
		"deployable "+table.Text(name), "paper-style "+table.Text(name), "recurrent KB", "deployment KB", "energy nJ/"+step, "time µs/"+step, "cost is",
		"published "+table.Text(name), "published KB")
	t.AlignRight(5, 6, 7, 8, 9, 10, 11)
	for _, row := range r.Rows {
		if row.Metric != name {
			continue
		}
		cells := []string{
			table.Text(row.Task), row.model(), table.Text(row.Quantizer), table.Text(row.Normalization), row.backend(notes), strconv.Itoa(len(row.Seeds)),
			row.text(row.Deployable, 1, 3, notes) + row.doubt(notes), row.text(row.PaperStyle, 1, 3, notes),
			kilobytes(row.RecurrentBytes), kilobytes(row.DeployedBytes),
			row.text(row.Energy, 1e9, 1, notes), row.time(notes), row.cost(notes),
		}
		value, size := printed(row.Published, notes)
		if err := t.Append(append(cells, value, size)...); err != nil {
			return err
		}
	}
	return t.Write(w)
}

func (r Row) model() string {
	if r.Setting == "" {
		return table.Text(r.Model)
	}
	return table.Text(r.Model) + " (" + table.Text(r.Setting) + ")"
}

func (r Row) backend(notes *footnotes) string {
	if r.Backend == "" {
		return "n/a " + notes.mark("n/a: the suite asks for no backend; deployable is the frozen network, computed by the model that was trained")
	}
	return table.Text(r.Backend)
}

// doubt marks a deployable figure that is not to be trusted.
func (r Row) doubt(notes *footnotes) string {
	if len(r.Doubts) == 0 {
		return ""
	}
	var texts []string
	for _, d := range r.Doubts {
		texts = append(texts, fmt.Sprintf("%s in doubt, seed %d: %s", doubtful, d.Seed, d.Reason))
	}
	return " " + doubtful + " " + notes.marks(texts)
}

// time is the row's time, marked where its spread is wide.
func (r Row) time(notes *footnotes) string {
	text := r.text(r.Seconds, 1e6, 2, notes)
	if r.wide() {
		return wide + text
	}
	return text
}

func (r Row) wide() bool {
	return r.Timed != nil && r.Timed.Spread != nil && *r.Timed.Spread > wideSpread
}

// cost says where the row's costs are from, and what they are not the costs of.
func (r Row) cost(notes *footnotes) string {
	if r.Backend == "" {
		return "n/a"
	}
	text, texts := "simulated", slices.Clone(r.Notes)
	if r.Measured {
		text = "measured"
	}
	if r.Timed != nil {
		note := fmt.Sprintf("timed: the median of n=%d sequences", r.Timed.Sequences)
		if r.Timed.Spread == nil {
			note += ", whose spread was not recorded"
		}
		texts = append(texts, note)
	}
	for _, s := range r.Substitutions {
		texts = append(texts, fmt.Sprintf("%s %s: %s → %s, %s", substituted, s.Weight, s.From, s.To, s.Reason))
	}
	if len(texts) > 0 {
		text += " " + notes.marks(texts)
	}
	if len(r.Substitutions) > 0 {
		text += " " + substituted + " " + r.substitutes()
	}
	return text
}

// substitutes says what stands in for which weights, such as "layer0.Wh as float32".
func (r Row) substitutes() string {
	var kept []string
	weights := make(map[string][]string)
	for _, s := range r.Substitutions {
		kept = once(kept, []string{s.To})
		weights[s.To] = once(weights[s.To], []string{s.Weight})
	}
	const named = 2 // more than so many weights are counted
	var parts []string
	for _, to := range kept {
		which := fmt.Sprintf("%d weights", len(weights[to]))
		if len(weights[to]) <= named {
			which = table.Text(strings.Join(weights[to], ", "))
		}
		parts = append(parts, which+" as "+table.Text(to))
	}
	return strings.Join(parts, ", ")
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
	if len(r.Experiments) == 0 {
		fmt.Fprintf(&b, "No experiment of the suite %s is finished.\n\n", table.Text(r.Suite))
	} else if len(r.Rows) == 0 {
		fmt.Fprintf(&b, "No deployment of the suite %s is finished.\n\n", table.Text(r.Suite))
	}
	for i, note := range notes {
		fmt.Fprintf(&b, "- [%d] %s\n", i+1, table.Text(strings.Join(strings.Fields(note), " ")))
	}
	some := func(is func(Row) bool) bool { return slices.ContainsFunc(r.Rows, is) }
	if r.recalled() {
		fmt.Fprintf(&b, "- %s published number recalled, not verified in a source\n", unverified)
	}
	if some(func(row Row) bool { return len(row.Substitutions) > 0 }) {
		fmt.Fprintf(&b, "- %s the backend keeps these weights otherwise than deployed; scores, bytes and costs are those of what it keeps\n", substituted)
	}
	if some(Row.wide) {
		fmt.Fprintf(&b, "- %s the timed sequences spread widely: (upper − lower quartile) / median is above %g\n", wide, wideSpread)
	}
	if len(r.Rows) > 0 {
		b.WriteString("- deployable: the draw of the weights that validated best, packed, statistics frozen, computed by the backend from the packed artifact; " +
			"paper-style: batch statistics, weights drawn anew for every batch\n" +
			"- recurrent KB: weights of recurrent layers alone; deployment KB: codes, scales, normalization tables, states and output layer as the backend stores them; KB of 1000 bytes\n" +
			"- energy and time: those of a whole sequence that is run by itself, divided by the time steps of all its streams\n")
	}
	for _, name := range r.metrics() {
		if m := metric.Metric(name); slices.Contains(metric.All, m) {
			fmt.Fprintf(&b, "- %s: %s\n", m, m.Doc())
		}
	}
	r.freezes(&b)
	for _, p := range r.Provenance {
		fmt.Fprintf(&b, "- %s\n", p)
	}
	for _, d := range r.Deployed {
		fmt.Fprintf(&b, "- %s\n", d)
	}
	for _, u := range r.Unfinished {
		fmt.Fprintf(&b, "- %s\n", u)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// freezes says how many sequences the frozen statistics are from, and how the draws of
// each network scored of which there is more than one.
func (r *Report) freezes(b *strings.Builder) {
	var calibrated []uint64
	var networks, draws []string // a network's name, and what its seeds scored
	for _, e := range r.Experiments {
		if e.CalibrationSequences > 0 {
			calibrated = insert(calibrated, uint64(e.CalibrationSequences))
		}
		if e.Unread != "" {
			fmt.Fprintf(b, "- the validations of experiment %s cannot be read: %s\n", table.Text(e.ID), table.Text(e.Unread))
		}
		if len(e.Draws) < 2 {
			continue
		}
		name := fmt.Sprintf("%s / %s / %s", table.Text(e.Task), Row{Model: e.Model, Setting: e.Setting}.model(), table.Text(e.Quantizer))
		if len(networks) == 0 || networks[len(networks)-1] != name {
			networks, draws = append(networks, name), append(draws, "")
		} else {
			draws[len(draws)-1] += "; "
		}
		text := fmt.Sprintf("seed %d %.4f ± %.4f (n=%d", e.Seed, *e.Drawn.Mean, *e.Drawn.Std, e.Drawn.N)
		for _, draw := range e.Draws {
			if draw.Deployed {
				text += fmt.Sprintf(", deployed %.4f", draw.Test)
			}
		}
		draws[len(draws)-1] += text + ")"
	}
	if len(calibrated) > 0 {
		fmt.Fprintf(b, "- frozen statistics are gathered over %s training sequences\n", list(calibrated))
	}
	if len(networks) > 0 {
		b.WriteString("- the draws of a network's weights, mean ± sd of their test scores in the model itself; deployed is the one that validated best:\n")
	}
	for i, name := range networks {
		fmt.Fprintf(b, "  - %s: %s\n", name, draws[i])
	}
}

// recalled says whether any published number of the rows is unverified.
func (r *Report) recalled() bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool {
		return slices.ContainsFunc(row.Published, func(p published.Result) bool { return !p.Verified })
	})
}
