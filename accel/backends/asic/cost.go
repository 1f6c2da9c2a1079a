package asic

import (
	"fmt"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// The parts of a cost. The first six sum to the recurrent column's power times
// its time.
const (
	weightFetch  = "weight fetch"
	macs         = "multiply-accumulate"
	activations  = "activations"
	tables       = backend.PartTables
	elementwise  = "elementwise"
	clockControl = "clock and control"
	outputLayer  = backend.PartOutputLayer
	embedding    = backend.PartEmbedding
)

// cost is that of one whole sequence of a program on a design.
type cost struct {
	design  Design
	energy  energyTable
	program *datapath.Program
	steps   map[string]int // of each stream

	recurrent float64            // cycles
	others    map[string]float64 // cycles of outputLayer and embedding
	lanes     float64            // cycles, of all the above, of the lanes
	estimate  map[string]float64 // joules of the recurrent column from below
}

func newCost(d Design, p *datapath.Program, steps map[string]int) *cost {
	c := &cost{
		design: d, energy: paperRecalled65nm, program: p, steps: steps,
		others: map[string]float64{}, estimate: map[string]float64{},
	}
	for _, g := range p.Graphs {
		times := 1.0
		if g.Stream != "" {
			times = float64(steps[g.Stream])
		}
		for _, w := range g.Work {
			cycles := times * c.cycles(w)
			if isElementwise(w.Op) {
				c.lanes += cycles
			}
			if w.Recurrent {
				c.recurrent += cycles
				c.estimateEnergy(w, times)
			} else {
				c.others[layer(w)] += cycles
			}
		}
	}
	return c
}

func isElementwise(op stepgraph.Op) bool {
	switch op {
	case stepgraph.MatVec, stepgraph.Lookup, stepgraph.Slice, stepgraph.Concat:
		return false
	}
	return true
}

// layer is the part that work outside of the recurrent layers belongs to.
func layer(w datapath.Work) string {
	if w.Op == stepgraph.Lookup {
		return embedding
	}
	return outputLayer
}

// cycles are those of one time step, as the package comment says.
func (c *cost) cycles(w datapath.Work) float64 {
	blocks := func(units int) float64 { return float64((w.Rows + units - 1) / units) }
	column := c.design.TwelveBit
	if w.Recurrent {
		column = c.design.column(c.program.Recurrent)
	}
	switch {
	case w.Op == stepgraph.MatVec:
		return blocks(column.Units) * float64(w.Columns)
	case w.Op == stepgraph.Lookup:
		return blocks(column.Units)
	case isElementwise(w.Op):
		return blocks(c.design.Lanes)
	default:
		return 0
	}
}

// estimateEnergy adds what the events of some recurrent work take, done so many times.
func (c *cost) estimateEnergy(w datapath.Work, times float64) {
	e := c.energy
	rows := times * float64(w.Rows)
	switch w.Op {
	case stepgraph.MatVec:
		perMAC := e.add
		if w.Width == datapath.TwelveBit {
			perMAC += e.multiply
		}
		count := rows * float64(w.Columns)
		c.estimate[weightFetch] += count * float64(w.Width) * e.sramRead
		c.estimate[macs] += count * perMAC
		c.estimate[activations] += times * c.cycles(w) * datapath.ActivationBits * e.bufferRead
		return
	case stepgraph.Lookup:
		c.estimate[weightFetch] += rows * float64(w.Width) * e.sramRead
		return
	case stepgraph.Slice, stepgraph.Concat:
		return
	case stepgraph.ScaleShift:
		c.estimate[tables] += times * float64(w.RowBits) * e.sramRead
		c.estimate[elementwise] += rows * (e.multiply + e.add)
	case stepgraph.Add:
		c.estimate[elementwise] += rows * e.add
	case stepgraph.Mul:
		c.estimate[elementwise] += rows * e.multiply
	default: // one entry of a table
		c.estimate[elementwise] += rows * datapath.ActivationBits * e.bufferRead
	}
	c.estimate[activations] += rows * datapath.ActivationBits * (float64(w.Operands)*e.bufferRead + e.bufferWrite)
}

// report is the cost as the contract has it.
func (c *cost) report() backend.Cost {
	cycles := c.recurrent
	for _, n := range c.others {
		cycles += n
	}
	seconds := cycles / c.design.Clock
	column := c.design.column(c.program.Recurrent)
	parts, ratio := c.energyParts(column)
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds, Energy: parts, Area: &column.Area,
		Memory: c.memory(), Substitutions: c.program.Substitutions, Notes: c.notes(column, cycles, ratio),
	}
}

// energyParts breaks power times time down, and returns the estimate from below
// over the power times time of the recurrent column.
func (c *cost) energyParts(column Column) (parts []backend.Part, ratio float64) {
	total := column.Power * c.recurrent / c.design.Clock
	names := []string{weightFetch, macs, activations, tables, elementwise}
	estimated := 0.0
	for _, name := range names {
		estimated += c.estimate[name]
	}
	if total > 0 {
		ratio = estimated / total
	}
	shrink := 1 / max(1, ratio)
	for _, name := range names {
		parts = append(parts, backend.Part{Name: name, Value: c.estimate[name] * shrink})
	}
	parts = append(parts, backend.Part{Name: clockControl, Value: max(0, total-estimated)})
	for _, name := range []string{embedding, outputLayer} {
		if cycles, ok := c.others[name]; ok {
			parts = append(parts, backend.Part{Name: name, Value: c.design.TwelveBit.Power * cycles / c.design.Clock})
		}
	}
	return parts, ratio
}

// memory is what the datapath stores, in bytes: codes of the column's width
// without padding, α where no table takes it in, tables with a row for each time step they
// are given for, two 12-bit words for each element of a state (its register and its
// initial value), whole layers for what is not recurrent, and what graphs leave to
// later ones.
func (c *cost) memory() []backend.Part {
	const codes, levels, state = backend.PartCodes, backend.PartLevels, backend.PartState
	bits := map[string]int{state: c.program.StateBits(), backend.PartWorkspace: c.program.KeptBits(c.steps)}
	for _, g := range c.program.Graphs {
		for _, w := range g.Work {
			switch {
			case !w.Recurrent:
				bits[layer(w)] += w.WeightBits + w.TableBits
			case w.Alpha:
				bits[levels] += w.TableBits
			default:
				bits[codes] += w.WeightBits
				bits[tables] += w.TableBits
			}
		}
	}
	var parts []backend.Part
	for _, name := range []string{codes, levels, tables, state, embedding, outputLayer, backend.PartWorkspace} {
		parts = append(parts, backend.Part{Name: name, Value: float64(bits[name]) / 8})
	}
	return parts
}

func (c *cost) notes(column Column, cycles, ratio float64) []string {
	d, width := c.design, c.program.Recurrent
	notes := []string{
		fmt.Sprintf("%s column at %.0f MHz: %s (%s)", width, d.Clock/1e6, d.describe(column), d.Source),
		fmt.Sprintf("energy is published power × time; its parts are by the table %s: %s", c.energy.name, c.energy.about),
		"area is that of the recurrent column in mm², as published; it has no room added for the memory listed here",
	}
	if len(c.others) > 0 {
		notes = append(notes, fmt.Sprintf("layers that are not recurrent take 12-bit weights and run after it on a 12-bit column (%s), which the area leaves out", d.describe(d.TwelveBit)))
	}
	if c.program.KeptBits(c.steps) > 0 {
		notes = append(notes, "what a graph leaves to a later one is workspace; the energy has no part for writing and reading it")
	}
	if cycles > 0 {
		notes = append(notes, fmt.Sprintf("elementwise operations take %.1f %% of the cycles, on %d lanes that do not overlap with the column (an assumption)", 100*c.lanes/cycles, d.Lanes))
	}
	if ratio > 1 {
		notes = append(notes, fmt.Sprintf("the estimated parts of the energy exceed the published power by %.1f %% and are scaled down to it", 100*(ratio-1)))
	}
	return notes
}
