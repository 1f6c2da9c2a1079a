package reports

import (
	"cmp"
	"slices"
	"strings"

	"bittern/harness/metric"
	"bittern/harness/store"
)

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
				return missing(cmp.Or(l.machine.Unsupported, "the backend does not tell its memory"))
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
		Column{ID: "sequence-steps", Header: "steps", Right: true, Rank: 5, About: "time steps of the sequence, of all its streams", cell: func(l line) Cell {
			if l.machine.Steps == 0 {
				return missing(cmp.Or(l.machine.Unsupported, "they are not recorded"))
			}
			return count(int(l.machine.Steps))
		}},
		Column{ID: "latency", Header: "latency µs", Right: true, Rank: 3, About: "time of the whole sequence",
			cell: func(l line) Cell { return l.figure(times(l.machine.Seconds, l.machine.Steps), 1e6, fixed(1)) }},
		Column{ID: "sequence-energy", Header: "energy µJ/sequence", Right: true, Rank: 4, About: "energy of the whole sequence",
			cell: func(l line) Cell { return l.figure(times(l.machine.Energy, l.machine.Steps), 1e6, fixed(3)) }},
	)
}

// recurrentColumns are of the recurrent layers alone, which figures of accelerators that are
// published are of, beside their share of the whole network. There is none of the time, as
// backends tell one for the whole network.
func recurrentColumns(_ []line, unit string) []Column {
	share := func(part, whole Figure) Cell {
		if part.Mean == nil {
			return missing(part.Missing)
		}
		if whole.Mean == nil || *whole.Mean == 0 {
			return missing("the figure of the whole network is not known")
		}
		of := *part.Mean / *whole.Mean
		return Cell{Text: fixed(1)(100 * of), Value: &of}
	}
	noWeights := func(l line) string {
		return cmp.Or(l.machine.Unsupported, "the backend does not tell the memory of recurrent weights")
	}
	return append(identity(),
		Column{ID: "backend", Header: "backend", cell: func(l line) Cell { return named(l.machine.Backend) }},
		Column{ID: "recurrent-energy", Header: "recurrent energy nJ/" + stepOf(unit), Right: true, Rank: 1, About: "energy of recurrent layers alone, as figures of accelerators are published: without other layers and what does not fit on the chip (× less than full precision on the same backend)",
			cell: func(l line) Cell {
				return l.figure(l.machine.RecurrentEnergy, 1e9, fixed(1)).times(l.machine.RecurrentEnergyRatio)
			}},
		Column{ID: "recurrent-energy-share", Header: "% of all energy", Right: true, Rank: 2, About: "its share of the energy of the whole network, which Hardware has",
			cell: func(l line) Cell { return share(l.machine.RecurrentEnergy, l.machine.Energy) }},
		Column{ID: "recurrent-area", Header: "recurrent area mm²", Right: true, Rank: 3, About: "area likewise",
			cell: func(l line) Cell { return l.figure(times(l.machine.RecurrentArea, 1), 1, fixed(2)) }},
		Column{ID: "recurrent-area-share", Header: "% of all area", Right: true, Rank: 4, About: "its share of the area that the whole network needs",
			cell: func(l line) Cell { return share(l.machine.RecurrentArea, l.machine.Area) }},
		Column{ID: "recurrent-kb", Header: "recurrent weights KB", Right: true, Rank: 5, About: "weights of recurrent layers as this backend stores them, which is what papers count; KB of 1000 bytes", cell: func(l line) Cell {
			if l.machine.RecurrentBytes == nil {
				return missing(noWeights(l))
			}
			return kilobytes(l.machine.RecurrentBytes)
		}},
		Column{ID: "recurrent-kb-share", Header: "% of all KB", Right: true, Rank: 6, About: "their share of the memory of the whole network",
			cell: func(l line) Cell {
				return share(Figure{Mean: l.machine.RecurrentBytes, Missing: noWeights(l)}, Figure{Mean: l.machine.Bytes})
			}},
	)
}

// times is a multiple of a figure's mean.
func times(f Figure, factor float64) Figure {
	if f.Mean != nil {
		f.Mean = new(*f.Mean * factor)
	}
	return Figure{N: f.N, Mean: f.Mean, Missing: f.Missing}
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
