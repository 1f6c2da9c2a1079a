package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bittern/baselines/published"
	"bittern/harness/metric"
	"bittern/harness/store"
)

// line is what a row of a table is of: a network, in some tables with one of its
// deployments or with one result that was published of it.
type line struct {
	*Network
	machine *Deployment
	printed *published.Result
}

// cell is plain text, which each format escapes as it must. value is what it sorts by,
// nil for text and for what is missing. notes are footnotes.
type cell struct {
	text    string
	value   *float64
	notes   []string
	missing bool
}

// column is all that there is to know of a column of a table.
type column struct {
	id    string // for flags
	name  string // its header, with the unit
	doc   string // what it says, for the notes; empty where the header says it
	right bool   // aligned right
	// rank is when the column has to go where a terminal is too narrow for all: the
	// highest first, 0 never.
	rank   int
	always bool // shown also where all rows have the same
	cell   func(line) cell
}

// kind is a table of a report.
type kind struct {
	heading string
	// columns are those of rows with the metric of this name.
	columns func(lines []line, metricName string) []column
	lines   func(*Report) []line
	hidden  func(View) bool // nil is never
}

// kinds are the tables of a report, in order.
func kinds() []kind {
	noParts := func(v View) bool { return !v.Parts || len(v.Columns) > 0 }
	return []kind{
		{"Results", resultColumns, networkLines, nil},
		{"Against the literature", literatureColumns, publishedLines, func(v View) bool { return len(v.Columns) > 0 && !slices.Contains(v.Columns, "published") }},
		{"Accuracy against memory", frontierColumns, frontierLines, func(v View) bool { return len(v.Columns) > 0 }},
		{"Hardware", hardwareColumns, machineLines, nil},
		{"Energy by part", partColumns(1e9, 1, "nJ", true, func(d *Deployment) []store.Part { return d.EnergyParts }), machineLines, noParts},
		{"Memory by part", partColumns(1e-3, 1, "KB", false, func(d *Deployment) []store.Part { return d.MemoryParts }), machineLines, noParts},
	}
}

func networkLines(r *Report) (lines []line) {
	for _, n := range r.Networks {
		lines = append(lines, line{Network: n})
	}
	return lines
}

func publishedLines(r *Report) (lines []line) {
	for _, n := range r.Networks {
		for i := range n.Published {
			lines = append(lines, line{Network: n, printed: &n.Published[i]})
		}
	}
	return lines
}

func machineLines(r *Report) (lines []line) {
	for _, n := range r.Networks {
		for i := range n.Deployments {
			lines = append(lines, line{Network: n, machine: &n.Deployments[i]})
		}
	}
	return lines
}

// frontierLines are the networks on the frontier of each task that has another, the
// smallest first.
func frontierLines(r *Report) (lines []line) {
	var tasks []string
	for _, n := range r.Networks {
		tasks = once(tasks, []string{n.Task})
	}
	for _, task := range tasks {
		ranked := slices.DeleteFunc(networkLines(r), func(l line) bool { return l.Task != task || !l.ranked() })
		if len(ranked) < 2 {
			continue
		}
		front := slices.DeleteFunc(ranked, func(l line) bool { return !l.Frontier })
		slices.SortStableFunc(front, func(a, b line) int { return cmp.Compare(a.DeployedBytes, b.DeployedBytes) })
		lines = append(lines, front...)
	}
	return lines
}

// identity are the columns that say of what a row is.
func identity() []column {
	name := func(id string, of func(line) string) column {
		return column{id: id, name: id, cell: func(l line) cell { return named(of(l)) }}
	}
	return []column{
		name("task", func(l line) string { return l.Task }),
		name("model", func(l line) string { return l.model() }),
		name("quantizer", func(l line) string { return l.Quantizer }),
		name("normalization", func(l line) string { return l.Normalization }),
	}
}

func resultColumns(_ []line, unit string) []column {
	return append(identity(),
		column{id: "bits", name: "bits/weight", right: true, rank: 4, doc: "bits of all frozen recurrent weights over their number",
			cell: func(l line) cell {
				return l.figure(Figure{N: l.BitsPerWeight.N, Mean: l.BitsPerWeight.Mean, Missing: l.BitsPerWeight.Missing}, 1, shortest)
			}},
		column{id: "deployable", name: "deployable " + unit, right: true, always: true,
			doc: "test score of the network as it was packed: of several draws of the weights the one that validated best, decoded from its packed bits, normalization statistics frozen, computed by the model in float32; mean ± standard deviation over the seeds. " +
				"Every backend computes the packed artifact itself, and its own score stands under Hardware",
			cell: func(l line) cell { return l.figure(l.Deployable, 1, fixed(3)).doubt(l.Doubts) }},
		column{id: "delta", name: "Δ", right: true, rank: 1,
			doc:  "deployable score less that of full precision: the network of the same task, model settings and normalization whose recurrent weights have 32 bits (– is that one). ~ where the seeds cannot tell the two apart (Welch's test at 5 %); where one of them has a single seed, their spread is not known",
			cell: delta},
		column{id: "paper-style", name: "paper-style " + unit, right: true, rank: 7, doc: "test score with batch statistics and weights drawn anew for every batch, which no chip can have",
			cell: func(l line) cell { return l.figure(l.PaperStyle, 1, fixed(3)) }},
		column{id: "weights-kb", name: "KB weights", right: true, rank: 6, doc: "recurrent weights alone, without padding (× less than full precision); KB of 1000 bytes",
			cell: func(l line) cell { return kilobytes(&l.WeightBytes).times(l.FullPrecision.WeightRatio) }},
		column{id: "kb", name: "KB deployed", right: true, rank: 2, doc: "all that is packed: codes, scales, normalization tables, output layer and other full-precision weights (× less than full precision); KB of 1000 bytes",
			cell: func(l line) cell { return kilobytes(&l.DeployedBytes).times(l.FullPrecision.DeployedRatio) }},
		column{id: "epochs", name: "epochs", right: true, rank: 3, doc: "passes over the training part, of those that the suite's recipe has", cell: epochs},
		column{id: "seeds", name: "seeds", right: true, rank: 5, cell: func(l line) cell { return count(len(l.Seeds)) }},
	)
}

func literatureColumns(_ []line, unit string) []column {
	return append(identity(),
		column{id: "published", name: "published " + unit, right: true, always: true, cell: func(l line) cell {
			return cell{text: shortest(l.printed.Value), value: &l.printed.Value}
		}},
		column{id: "ours", name: "our " + unit, right: true, always: true, doc: "the deployable score of Results; the papers score with batch statistics, as paper-style does",
			cell: func(l line) cell { return l.figure(l.Deployable, 1, fixed(3)).doubt(l.Doubts) }},
		column{id: "difference", name: "ours − published", right: true, rank: 1, cell: func(l line) cell {
			if l.Deployable.Mean == nil {
				return missing(l.Deployable.Missing)
			}
			difference := *l.Deployable.Mean - l.printed.Value
			return cell{text: fmt.Sprintf("%+.3f", difference), value: &difference}
		}},
		column{id: "our-epochs", name: "our epochs", right: true, rank: 3, cell: epochs},
		column{id: "published-kb", name: "published KB", right: true, rank: 5, cell: publishedSize},
		column{id: "our-kb", name: "our KB", right: true, rank: 4, doc: "what the published size counts, in KB of as many bytes", cell: func(l line) cell {
			switch l.printed.SizeConvention {
			case published.RecurrentWeights:
				return kilobytes(&l.WeightBytes)
			case published.Deployed:
				return kilobytes(new(l.DeployedBytes * 1000 / 1024))
			}
			return missing("no size was published")
		}},
		column{id: "source", name: "source", rank: 2, cell: func(l line) cell {
			return cell{text: l.printed.Source, notes: []string{citation(l.printed.Source)}}
		}},
		column{id: "mark", name: "mark", rank: 6, doc: "verified: read in a source that prints the number; recalled: in none at hand", cell: func(l line) cell {
			if l.printed.Verified {
				return cell{text: "verified"}
			}
			return cell{text: "recalled"}
		}},
	)
}

func frontierColumns(lines []line, unit string) []column {
	columns := slices.DeleteFunc(resultColumns(lines, unit), func(c column) bool {
		return !slices.Contains([]string{"task", "model", "quantizer", "normalization", "kb", "deployable"}, c.id)
	})
	for i := range columns {
		columns[i].always = columns[i].right
	}
	return columns
}

func hardwareColumns(lines []line, unit string) []column {
	step := stepOf(unit)
	return append(identity(),
		column{id: "backend", name: "backend", cell: func(l line) cell {
			c := named(l.machine.Backend)
			if notes := commonNotes(lines, l.machine.Backend); len(notes) > 0 {
				c.notes = []string{strings.Join(notes, "; ")}
			}
			return c
		}},
		column{id: "machine-metric", name: "computed " + unit, right: true, always: true, doc: "as the machine computes it from the packed artifact",
			cell: func(l line) cell { return l.figure(l.machine.Metric, 1, fixed(3)).doubt(l.machine.Doubts) }},
		column{id: "energy", name: "energy nJ/" + step, right: true, rank: 1, doc: "energy of a whole sequence that is run by itself over the time steps of all its streams (× less than full precision on the same backend)",
			cell: func(l line) cell { return l.figure(l.machine.Energy, 1e9, fixed(1)).times(l.machine.EnergyRatio) }},
		column{id: "time", name: "time µs/" + step, right: true, rank: 2, doc: "likewise time; of a machine that is timed the median. " + wide + " marks a time whose sequences spread widely: (upper − lower quartile) / median is above " + shortest(wideSpread),
			cell: timeCell},
		column{id: "machine-kb", name: "KB", right: true, rank: 3, doc: "all that the network needs, states included, as this backend stores it; KB of 1000 bytes", cell: func(l line) cell {
			if l.machine.Bytes == nil {
				return missing("the backend does not tell its memory")
			}
			return kilobytes(l.machine.Bytes)
		}},
		column{id: "area", name: "area mm²", right: true, rank: 5, cell: func(l line) cell {
			return l.figure(Figure{N: len(l.Seeds), Mean: l.machine.Area.Mean, Missing: l.machine.Area.Missing}, 1, fixed(2))
		}},
		column{id: "cost", name: "cost is", rank: 4, doc: substituted + " the backend keeps these weights otherwise than deployed; its score, bytes and costs are those of what it keeps", cell: costCell},
	)
}

// partColumns has a column for each part that one of the lines has.
func partColumns(scale float64, decimals int, unit string, perStep bool, parts func(*Deployment) []store.Part) func([]line, string) []column {
	return func(lines []line, metricName string) []column {
		var names []string
		for _, l := range lines {
			for _, part := range parts(l.machine) {
				names = once(names, []string{part.Name})
			}
		}
		unit := unit
		if perStep {
			unit += "/" + stepOf(metricName)
		}
		columns := append(identity(), column{id: "backend", name: "backend", cell: func(l line) cell { return named(l.machine.Backend) }})
		for i, name := range names {
			columns = append(columns, column{id: name, name: name + " " + unit, right: true, rank: i + 1, cell: func(l line) cell {
				for _, part := range parts(l.machine) {
					if part.Name == name {
						return cell{text: fixed(decimals)(part.Value * scale), value: new(part.Value)}
					}
				}
				return cell{text: "–", missing: true}
			}})
		}
		return columns
	}
}

const (
	doubtful    = "‼" // a score that is not to be trusted
	substituted = "≠" // weights that a backend keeps otherwise than deployed
	wide        = "≈" // a time whose spread is above wideSpread
)

// commonNotes are those that a backend has of every network.
func commonNotes(lines []line, backend string) []string {
	var common []string
	first := true
	for _, l := range lines {
		if l.machine.Backend != backend {
			continue
		}
		if first {
			common, first = slices.Clone(l.machine.Notes), false
		}
		common = slices.DeleteFunc(common, func(note string) bool { return !slices.Contains(l.machine.Notes, note) })
	}
	return common
}

// stepOf is what a time step is called where the score has this metric.
func stepOf(name string) string {
	if metric.Metric(name) == metric.BPC {
		return "char"
	}
	return "step"
}

// named is a cell of text; nothing is "–".
func named(text string) cell {
	if text == "" {
		return cell{text: "–", missing: true}
	}
	return cell{text: text}
}

func missing(reason string) cell {
	return cell{text: "n/a", notes: []string{"n/a: " + reason}, missing: true}
}

func count(n int) cell { return cell{text: strconv.Itoa(n), value: new(float64(n))} }

// fixed writes numbers with so many decimals.
func fixed(decimals int) func(float64) string {
	return func(f float64) string { return strconv.FormatFloat(f, 'f', decimals, 64) }
}

// shortest writes a number with at most four digits.
func shortest(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }

func kilobytes(bytes *float64) cell { return cell{text: fixed(1)(*bytes / 1000), value: bytes} }

// figure writes a figure times scale: "1.702", "1.702 ± 0.004" or "n/a", and
// "1.702 (n=1)" where it is of another number of seeds than the network has.
func (n *Network) figure(f Figure, scale float64, write func(float64) string) cell {
	if f.Mean == nil {
		return missing(f.Missing)
	}
	text := write(*f.Mean * scale)
	if f.Std != nil {
		text += " ± " + write(*f.Std*scale)
	}
	if f.N != len(n.Seeds) {
		text += fmt.Sprintf(" (n=%d)", f.N)
	}
	return cell{text: text, value: f.Mean}
}

// times adds how many times less it is than in full precision, where that is known.
func (c cell) times(ratio *float64) cell {
	if ratio != nil && !c.missing {
		c.text += fmt.Sprintf(" (%.1f×)", *ratio)
	}
	return c
}

func (c cell) doubt(doubts []Doubt) cell {
	if len(doubts) == 0 {
		return c
	}
	c.text += " " + doubtful
	c.notes = append(slices.Clone(c.notes), doubtful+" in doubt, "+doubtsText(doubts))
	return c
}

// model is the model's label with what tells the row from others of the same labels.
func (n *Network) model() string {
	if n.Setting == "" {
		return n.Model
	}
	return n.Model + " (" + n.Setting + ")"
}

func delta(l line) cell {
	switch c := l.FullPrecision; {
	case c.Missing != "":
		return missing(c.Missing)
	case c.Itself:
		return cell{text: "–", value: new(0.0)}
	case c.Delta == nil:
		return missing("one of the two scores is not measured")
	case c.indistinguishable():
		return cell{text: "~", value: c.Delta}
	default:
		return cell{text: fmt.Sprintf("%+.3f", *c.Delta), value: c.Delta}
	}
}

// epochs writes "1.8 of 200".
func epochs(l line) cell {
	f := l.Epochs
	if f.Mean == nil {
		return missing(f.Missing)
	}
	text := strconv.FormatFloat(*f.Mean, 'g', 2, 64)
	if *f.Mean >= 10 {
		text = strings.TrimSuffix(fixed(1)(*f.Mean), ".0")
	}
	if l.RecipeEpochs > 0 {
		text += " of " + strconv.Itoa(l.RecipeEpochs)
	}
	return cell{text: text, value: f.Mean}
}

func publishedSize(l line) cell {
	if l.printed.SizeKB == 0 {
		return missing("no size was published")
	}
	counts := "recurrent weights, KB of 1000 bytes"
	if l.printed.SizeConvention == published.Deployed {
		counts = "whole deployment, KB of 1024 bytes"
	}
	if l.printed.Note != "" {
		counts += "; " + l.printed.Note
	}
	return cell{text: shortest(l.printed.SizeKB), value: &l.printed.SizeKB, notes: []string{counts}}
}

func citation(key string) string {
	for _, s := range published.Sources {
		if s.Key == key {
			return s.Citation
		}
	}
	return key
}

func timeCell(l line) cell {
	c := l.figure(l.machine.Seconds, 1e6, fixed(2)).times(l.machine.SecondsRatio)
	if l.machine.wide() {
		c.text = wide + c.text
	}
	return c
}

func (d *Deployment) wide() bool {
	return d.Timed != nil && d.Timed.Spread != nil && *d.Timed.Spread > wideSpread
}

// costCell says where the costs are from, and what they are not the costs of.
func costCell(l line) cell {
	c := cell{text: "simulated"}
	if l.machine.Measured {
		c.text = "measured"
	}
	if t := l.machine.Timed; t != nil {
		note := fmt.Sprintf("timed: the median of n=%d sequences", t.Sequences)
		if t.Spread == nil {
			note += ", whose spread was not recorded"
		}
		c.notes = append(c.notes, note)
	}
	if len(l.machine.Substitutions) > 0 {
		c.text += " " + substituted
		c.notes = append(c.notes, substituted+" "+substitutes(l.machine.Substitutions))
	}
	return c
}

// substitutes says what stands in for which weights, and why, such as
// "layer0.Wh, layer0.Wx: 16 levels, 4 bits → float32, a look-up keeps three levels".
func substitutes(all []store.Substitution) string {
	var order []store.Substitution // without their weights
	weights := make(map[store.Substitution][]string)
	for _, s := range all {
		why := s
		why.Weight = ""
		order = once(order, []store.Substitution{why})
		weights[why] = append(weights[why], s.Weight)
	}
	var parts []string
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%s: %s → %s, %s", strings.Join(weights[s], ", "), s.From, s.To, s.Reason))
	}
	return strings.Join(parts, "; ")
}
