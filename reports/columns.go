package reports

import (
	"cmp"
	"fmt"
	"slices"

	"bittern/baselines/published"
	"bittern/harness/store"
)

// line is the subject of a table's row: a network, in some tables with one of its deployments
// or with one of its published results. That of a published machine has an empty network.
type line struct {
	*Network
	machine  *Deployment
	printed  *published.Result
	residual *residual
}

// kind is a table of a report.
type kind struct {
	heading string
	// columns returns the columns for rows whose scores have the named metric.
	columns func(lines []line, metricName string) []Column
	lines   func(*Report) []line
	hidden  func(View) bool // nil is never
	// machines says that it is of backends.
	machines bool
}

// kinds are the tables of a report, in order.
func kinds() []kind {
	return []kind{
		{heading: "Results", columns: resultColumns, lines: networkLines},
		{heading: "Against the literature", columns: literatureColumns, lines: publishedLines, hidden: func(v View) bool { return len(v.Columns) > 0 && !slices.Contains(v.Columns, "published") }},
		{heading: "Arithmetic of training", columns: arithmeticColumns, lines: roundedLines, hidden: func(v View) bool {
			return len(v.Columns) > 0 && len(chosen(arithmeticColumns(nil, ""), v.Columns)) == 0
		}},
		{heading: "Accuracy against memory", columns: frontierColumns, lines: frontierLines, hidden: func(v View) bool { return len(v.Columns) > 0 }},
		{heading: "Hardware", columns: hardwareColumns, lines: machineLines, machines: true},
		{heading: "Sequences", columns: sequenceColumns, lines: machineLines, hidden: unasked(sequenceColumns), machines: true},
		{heading: "Recurrent layers alone", columns: recurrentColumns, lines: machineLines, hidden: unasked(recurrentColumns), machines: true},
		{heading: "Energy by part", columns: partColumns(1e9, 1, "nJ", true, func(d *Deployment) []store.Part { return d.EnergyParts }), lines: machineLines, hidden: noParts, machines: true},
		{heading: "Area by part", columns: partColumns(1, 3, "mm²", false, func(d *Deployment) []store.Part { return d.AreaParts }), lines: machineLines, hidden: noParts, machines: true},
		{heading: "Memory by part", columns: partColumns(1e-3, 1, "KB", false, func(d *Deployment) []store.Part { return d.MemoryParts }), lines: machineLines, hidden: noParts, machines: true},
		{heading: "Published machines", columns: calibrationColumns, lines: calibrationLines, hidden: unasked(calibrationColumns), machines: true},
	}
}

func noParts(v View) bool { return !v.Parts || len(v.Columns) > 0 }

// unasked hides a table that only reports of hardware have, unless the view names one of the
// columns that say something in it.
func unasked(columns func([]line, string) []Column) func(View) bool {
	return func(v View) bool {
		if len(v.Columns) == 0 {
			return !v.Hardware
		}
		return len(chosen(columns(nil, ""), v.Columns)) == 0
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

// frontierLines returns the networks on the Pareto front of each task that has at least two
// networks, the smallest first.
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

// identity returns the columns that name a row's network.
func identity() []Column {
	name := func(id string, of func(line) string) Column {
		return Column{ID: id, Header: id, cell: func(l line) Cell { return named(of(l)) }}
	}
	return []Column{
		name("task", func(l line) string { return l.Task }),
		name("model", func(l line) string { return l.ModelName() }),
		name("quantizer", func(l line) string { return l.Quantizer }),
		name("normalization", func(l line) string { return l.Normalization }),
	}
}

// identifies says whether a column only names a row's network or backend.
func identifies(id string) bool { return id == "backend" || find(identity(), id) >= 0 }

func resultColumns(_ []line, unit string) []Column {
	return append(identity(),
		Column{ID: "bits", Header: "bits/weight", Right: true, Rank: 4, About: "bits of all frozen recurrent weights over their number",
			cell: func(l line) Cell {
				return l.figure(Figure{N: l.BitsPerWeight.N, Mean: l.BitsPerWeight.Mean, Missing: l.BitsPerWeight.Missing}, 1, shortest)
			}},
		Column{ID: "deployable", Header: "deployable " + unit, Right: true, always: true,
			About: "test score of the network as it was packed: of several draws of the weights the one that validated best, decoded from its packed bits, normalization statistics frozen, computed by the model in float32; mean ± standard deviation over the seeds. " +
				"Every backend computes the packed artifact itself, and its own score stands under Hardware",
			cell: func(l line) Cell { return l.figure(l.Deployable, 1, fixed(3)).doubt(l.Doubts) }},
		Column{ID: "delta", Header: "Δ", Right: true, Rank: 1,
			About: "deployable score less that of full precision: the network of the same task, model settings and normalization whose recurrent weights have 32 bits (– is that one). ~ where the seeds cannot tell the two apart (Welch's test at 5 %); where one of them has a single seed, their spread is not known",
			cell:  delta},
		Column{ID: "paper-style", Header: "paper-style " + unit, Right: true, Rank: 7, About: "test score with batch statistics and weights drawn anew for every batch, which no chip can have",
			cell: func(l line) Cell { return l.figure(l.PaperStyle, 1, fixed(3)) }},
		Column{ID: "weights-kb", Header: "KB weights", Right: true, Rank: 6, About: "recurrent weights alone, without padding (× less than full precision); KB of 1000 bytes",
			cell: func(l line) Cell { return kilobytes(&l.WeightBytes).times(l.FullPrecision.WeightRatio) }},
		Column{ID: "kb", Header: "KB deployed", Right: true, Rank: 2, About: "all that is packed: codes, scales, normalization tables, output layer and other full-precision weights (× less than full precision); KB of 1000 bytes",
			cell: func(l line) Cell { return kilobytes(&l.DeployedBytes).times(l.FullPrecision.DeployedRatio) }},
		Column{ID: "epochs", Header: "epochs", Right: true, Rank: 3, About: "passes over the training part, of those that the suite's recipe has", cell: epochs},
		Column{ID: "seeds", Header: "seeds", Right: true, Rank: 5, cell: func(l line) Cell { return count(len(l.Seeds)) }},
	)
}

func literatureColumns(_ []line, unit string) []Column {
	return append(identity(),
		Column{ID: "published", Header: "published " + unit, Right: true, always: true, cell: func(l line) Cell {
			return Cell{Text: shortest(l.printed.Value), Value: &l.printed.Value}
		}},
		Column{ID: "ours", Header: "our " + unit, Right: true, always: true, About: "the deployable score of Results; the papers score with batch statistics, as paper-style does",
			cell: func(l line) Cell { return l.figure(l.Deployable, 1, fixed(3)).doubt(l.Doubts) }},
		Column{ID: "difference", Header: "ours − published", Right: true, Rank: 1, cell: func(l line) Cell {
			if l.Deployable.Mean == nil {
				return missing(l.Deployable.Missing)
			}
			difference := *l.Deployable.Mean - l.printed.Value
			return Cell{Text: fmt.Sprintf("%+.3f", difference), Value: &difference}
		}},
		Column{ID: "our-epochs", Header: "our epochs", Right: true, Rank: 3, cell: epochs},
		Column{ID: "published-kb", Header: "published KB", Right: true, Rank: 5, cell: publishedSize},
		Column{ID: "our-kb", Header: "our KB", Right: true, Rank: 4, About: "what the published size counts, in KB of as many bytes", cell: func(l line) Cell {
			switch l.printed.SizeConvention {
			case published.RecurrentWeights:
				return kilobytes(&l.WeightBytes)
			case published.Deployed:
				return kilobytes(new(l.DeployedBytes * 1000 / 1024))
			}
			return missing("no size was published")
		}},
		Column{ID: "source", Header: "source", Rank: 2, cell: func(l line) Cell {
			return Cell{Text: l.printed.Source, Notes: []string{citation(l.printed.Source)}}
		}},
		Column{ID: "mark", Header: "mark", Rank: 6, About: "verified: read in a source that prints the number; recalled: in none at hand", cell: func(l line) Cell {
			if l.printed.Verified {
				return Cell{Text: "verified"}
			}
			return Cell{Text: "recalled"}
		}},
	)
}

func frontierColumns(lines []line, unit string) []Column {
	columns := slices.DeleteFunc(resultColumns(lines, unit), func(c Column) bool {
		return !slices.Contains([]string{"task", "model", "quantizer", "normalization", "kb", "deployable"}, c.ID)
	})
	for i := range columns {
		columns[i].always = columns[i].Right
	}
	return columns
}
