package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bittern/baselines/published"
	"bittern/harness/metric"
	"bittern/harness/store"
)

// line is the subject of a table's row: a network, in some tables with one of its deployments
// or with one of its published results.
type line struct {
	*Network
	machine *Deployment
	printed *published.Result
}

// kind is a table of a report.
type kind struct {
	heading string
	// columns returns the columns for rows whose scores have the named metric.
	columns func(lines []line, metricName string) []Column
	lines   func(*Report) []line
	hidden  func(View) bool // nil is never
	// machines says that its rows are networks on backends.
	machines bool
}

// kinds are the tables of a report, in order.
func kinds() []kind {
	noParts := func(v View) bool { return !v.Parts || len(v.Columns) > 0 }
	noSequences := func(v View) bool {
		return !v.Hardware && !slices.ContainsFunc(sequenceColumns(nil, "")[len(identity())+1:], func(c Column) bool { return slices.Contains(v.Columns, c.ID) })
	}
	return []kind{
		{"Results", resultColumns, networkLines, nil, false},
		{"Against the literature", literatureColumns, publishedLines, func(v View) bool { return len(v.Columns) > 0 && !slices.Contains(v.Columns, "published") }, false},
		{"Accuracy against memory", frontierColumns, frontierLines, func(v View) bool { return len(v.Columns) > 0 }, false},
		{"Hardware", hardwareColumns, machineLines, nil, true},
		{"Sequences", sequenceColumns, machineLines, noSequences, true},
		{"Energy by part", partColumns(1e9, 1, "nJ", true, func(d *Deployment) []store.Part { return d.EnergyParts }), machineLines, noParts, true},
		{"Area by part", partColumns(1, 3, "mm²", false, func(d *Deployment) []store.Part { return d.AreaParts }), machineLines, noParts, true},
		{"Memory by part", partColumns(1e-3, 1, "KB", false, func(d *Deployment) []store.Part { return d.MemoryParts }), machineLines, noParts, true},
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

func hardwareColumns(lines []line, unit string) []Column {
	step := stepOf(unit)
	return append(identity(),
		Column{ID: "backend", Header: "backend", cell: func(l line) Cell {
			c := named(l.machine.Backend)
			if notes := commonNotes(lines, l.machine.Backend); len(notes) > 0 {
				c.Notes = []string{strings.Join(notes, "; ")}
			}
			return c
		}},
		Column{ID: "machine-metric", Header: "computed " + unit, Right: true, always: true, About: "as the machine computes it from the packed artifact",
			cell: func(l line) Cell { return l.figure(l.machine.Metric, 1, fixed(3)).doubt(l.machine.Doubts) }},
		Column{ID: "energy", Header: "energy nJ/" + step, Right: true, Rank: 1, About: "energy of a whole sequence that is run by itself over the time steps of all its streams (× less than full precision on the same backend)",
			cell: func(l line) Cell { return l.figure(l.machine.Energy, 1e9, fixed(1)).times(l.machine.EnergyRatio) }},
		Column{ID: "time", Header: "time µs/" + step, Right: true, Rank: 2, About: "likewise time; of a machine that is timed the median. " + wide + " marks a time whose sequences spread widely: (upper − lower quartile) / median is above " + shortest(wideSpread),
			cell: timeCell},
		Column{ID: "machine-kb", Header: "KB", Right: true, Rank: 3, About: "all that the network needs, states included, as this backend stores it; KB of 1000 bytes", cell: func(l line) Cell {
			if l.machine.Bytes == nil {
				return missing("the backend does not tell its memory")
			}
			return kilobytes(l.machine.Bytes)
		}},
		Column{ID: "area", Header: "area mm²", Right: true, Rank: 5, cell: func(l line) Cell {
			return l.figure(Figure{N: len(l.Seeds), Mean: l.machine.Area.Mean, Missing: l.machine.Area.Missing}, 1, fixed(2))
		}},
		Column{ID: "cost", Header: "cost is", Rank: 4, About: substituted + " the backend keeps these weights otherwise than deployed; its score, bytes and costs are those of what it keeps", cell: costCell},
	)
}

// sequenceColumns are of a whole sequence that is run by itself, and of the clock.
func sequenceColumns(_ []line, unit string) []Column {
	step := stepOf(unit)
	times := func(f Figure, factor float64) Figure {
		if f.Mean != nil {
			f.Mean = new(*f.Mean * factor)
		}
		return Figure{N: f.N, Mean: f.Mean, Missing: f.Missing}
	}
	return append(identity(),
		Column{ID: "backend", Header: "backend", cell: func(l line) Cell { return named(l.machine.Backend) }},
		Column{ID: "cycles", Header: "cycles/" + step, Right: true, Rank: 1, About: "clock cycles of a whole sequence over the time steps of all its streams",
			cell: func(l line) Cell { return l.figure(l.machine.Cycles, 1, fixed(1)) }},
		Column{ID: "throughput", Header: step + "s/s", Right: true, Rank: 2, About: "time steps a second, of sequences that are run one after the other",
			cell: func(l line) Cell {
				f := l.machine.Seconds
				if f.Mean != nil && *f.Mean > 0 {
					f = Figure{N: f.N, Mean: new(1 / *f.Mean)}
				}
				return l.figure(f, 1, fixed(0))
			}},
		Column{ID: "sequence-steps", Header: "steps", Right: true, Rank: 5, About: "time steps of the sequence, of all its streams", cell: func(l line) Cell { return count(int(l.machine.Steps)) }},
		Column{ID: "latency", Header: "latency µs", Right: true, Rank: 3, About: "time of the whole sequence",
			cell: func(l line) Cell { return l.figure(times(l.machine.Seconds, l.machine.Steps), 1e6, fixed(1)) }},
		Column{ID: "sequence-energy", Header: "energy µJ/sequence", Right: true, Rank: 4, About: "energy of the whole sequence",
			cell: func(l line) Cell { return l.figure(times(l.machine.Energy, l.machine.Steps), 1e6, fixed(3)) }},
		Column{ID: "recurrent-energy", Header: "recurrent layers nJ/" + step, Right: true, Rank: 6, About: "energy of recurrent layers alone, as figures of accelerators are published: without other layers and what does not fit on the chip",
			cell: func(l line) Cell { return l.figure(l.machine.RecurrentEnergy, 1e9, fixed(1)) }},
		Column{ID: "recurrent-area", Header: "recurrent layers mm²", Right: true, Rank: 7, About: "area likewise",
			cell: func(l line) Cell { return l.figure(times(l.machine.RecurrentArea, 1), 1, fixed(2)) }},
	)
}

// partColumns has a column for each part that one of the lines has.
func partColumns(scale float64, decimals int, unit string, perStep bool, parts func(*Deployment) []store.Part) func([]line, string) []Column {
	return func(lines []line, metricName string) []Column {
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
		columns := append(identity(), Column{ID: "backend", Header: "backend", cell: func(l line) Cell { return named(l.machine.Backend) }})
		for i, name := range names {
			columns = append(columns, Column{ID: name, Header: name + " " + unit, Right: true, Rank: i + 1, cell: func(l line) Cell {
				for _, part := range parts(l.machine) {
					if part.Name == name {
						return Cell{Text: fixed(decimals)(part.Value * scale), Value: new(part.Value)}
					}
				}
				return Cell{Text: "–", Missing: true}
			}})
		}
		return columns
	}
}

// commonNotes returns the notes that a backend has for every network.
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

// stepOf returns what a time step is called in tasks with this metric.
func stepOf(name string) string {
	if metric.Metric(name) == metric.BPC {
		return "char"
	}
	return "step"
}
