package asic

import (
	"fmt"
	"maps"
	"slices"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// cost is what one whole sequence of a program costs on a machine.
type cost struct {
	model
	program *datapath.Program
	steps   map[string]int // of each stream

	cycles float64 // of the schedule
	lanes  float64 // of the work on the lanes, if nothing overlapped
	work   float64 // of all work, if nothing overlapped
	energy map[string]float64
	// spilled is the share of the weights that do not fit into the memory of their column, of
	// recurrent weights under true and of the others under false.
	spilled map[bool]float64
}

func newCost(m model, p *datapath.Program, steps map[string]int) *cost {
	c := &cost{model: m, program: p, steps: steps, energy: map[string]float64{}, spilled: map[bool]float64{}}
	for _, recurrent := range []bool{true, false} {
		bits := c.weightBits(recurrent)
		if room := m.design.column(c.width(recurrent)).Weights.bits(); bits > room {
			c.spilled[recurrent] = 1 - room/bits
		}
	}
	for _, g := range p.Graphs {
		work, times := g.Schedule(steps)
		cycles := make([]float64, len(work))
		for i, w := range work {
			cycles[i] = c.one(w, float64(times))
		}
		c.cycles += m.design.schedule(work, cycles, times)
	}
	seconds := c.cycles / m.design.clock()
	c.energy[leakage] = c.leakagePower() * seconds
	if c.hasLayers() {
		c.energy[otherLeakage] = c.columnLeakage(m.design.Columns.TwelveBit, datapath.TwelveBit) * seconds
	}
	return c
}

// width returns the width of the column that recurrent or other weights run on.
func (c *cost) width(recurrent bool) datapath.Width {
	if recurrent {
		return c.program.Recurrent
	}
	return datapath.TwelveBit
}

func (c *cost) weightBits(recurrent bool) float64 {
	bits := 0
	for _, g := range c.program.Graphs {
		for _, w := range g.Work {
			if w.Recurrent == recurrent {
				bits += w.WeightBits
			}
		}
	}
	return float64(bits)
}

// one adds the energy of an operation that is done so many times, and returns the cycles
// that it takes once.
func (c *cost) one(w datapath.Work, times float64) float64 {
	width := c.width(w.Recurrent)
	cycles := c.model.cycles(w, width)
	parts := c.energyOf(w, width, cycles)
	if bits := c.fetched(w, width); bits > 0 {
		parts[dramTransfer] = bits * c.costs.DRAM(c.design.DRAM.Type)
		// The weights stream in while the column works.
		cycles = max(cycles, bits/float64(c.design.DRAM.BitsPerCycle))
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) { // in a fixed order, so that sums are the same to the bit
		part := name
		if !w.Recurrent && name != dramTransfer {
			part = layer(w)
		}
		c.energy[part] += times * parts[name]
	}
	if isElementwise(w.Op) {
		c.lanes += times * cycles
	}
	c.work += times * cycles
	return cycles
}

// fetched returns how many bits of weights an operation takes from the DRAM.
func (c *cost) fetched(w datapath.Work, width datapath.Width) float64 {
	if c.design.DRAM == nil {
		return 0
	}
	bits := c.spilled[w.Recurrent] * float64(w.Rows) * float64(width)
	switch w.Op {
	case stepgraph.MatVec:
		return bits * float64(w.Columns)
	case stepgraph.Lookup:
		return bits
	}
	return 0
}

// hasLayers says whether the program has work that is not recurrent.
func (c *cost) hasLayers() bool {
	for _, g := range c.program.Graphs {
		for _, w := range g.Work {
			if !w.Recurrent {
				return true
			}
		}
	}
	return false
}

// leakagePower is the power in watts that leaks from the recurrent column, the lanes, the
// activation memory and, if the program needs it, the root unit.
func (c *cost) leakagePower() float64 {
	width := c.program.Recurrent
	power := c.columnLeakage(c.design.column(width), width) + c.restLeakage()
	if c.program.Root != "" {
		power += c.rootLeakage()
	}
	return power
}

// layer names the part of energy and memory to which an operation outside of the recurrent layers
// belongs.
func layer(w datapath.Work) string {
	switch w.Op {
	case stepgraph.Lookup:
		return embedding
	case datapath.Softmax, datapath.WeightedSum:
		return attention
	}
	return outputLayer
}

// report returns the cost in the form of the contract.
func (c *cost) report() backend.Cost {
	cycles, seconds := c.cycles, c.cycles/c.design.clock()
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds, Energy: c.energyParts(), Area: c.areaParts(),
		Memory: c.memory(), Substitutions: c.program.Substitutions, Notes: c.notes(),
	}
}

// areaParts returns the area of the recurrent column, which is what its source publishes, and, as
// outside parts, of everything else that the network needs.
func (c *cost) areaParts() []backend.Part {
	units, memory := c.columnArea(c.design.column(c.program.Recurrent), c.program.Recurrent)
	outside := func(name string, area float64) backend.Part {
		return backend.Part{Name: name, Value: area, Outside: true}
	}
	parts := []backend.Part{
		{Name: arithmetic, Value: units}, {Name: weightMemory, Value: memory},
		outside(activationMemory, c.memoryArea(c.design.Activations.bits(), c.design.Activations.Words)),
		outside(backend.PartLanes, c.lanesArea()),
		outside(backend.PartFurtherMemory, c.memoryArea(c.furtherBits(), c.design.Columns.TwelveBit.Weights.Words)),
	}
	if c.program.Root != "" {
		parts = append(parts, outside(rootUnit, c.rootArea()))
	}
	if c.hasLayers() {
		units, memory := c.columnArea(c.design.Columns.TwelveBit, datapath.TwelveBit)
		parts = append(parts, outside(outputLayer, units+memory))
	}
	return parts
}

// furtherBits counts the bits for which the design has no memory: tables, states, what graphs
// leave to others and, without a DRAM, weights that do not fit.
func (c *cost) furtherBits() float64 {
	bits := float64(c.program.StateBits() + c.program.KeptBits(c.steps))
	for _, g := range c.program.Graphs {
		for _, w := range g.Work {
			bits += float64(w.TableBits)
		}
	}
	if c.design.DRAM == nil {
		bits += c.spilled[true]*c.weightBits(true) + c.spilled[false]*c.weightBits(false)
	}
	return bits
}

// energyParts returns all parts of the recurrent layers, and those parts of other layers that the
// network has.
func (c *cost) energyParts() (parts []backend.Part) {
	for _, name := range []string{arithmetic, weightMemory, activationMemory, normalization, nonlinear, clockControl, leakage} {
		parts = append(parts, backend.Part{Name: name, Value: c.energy[name], Static: name == leakage})
	}
	for _, name := range []string{dramTransfer, embedding, attention, outputLayer, otherLeakage} {
		if joules, ok := c.energy[name]; ok {
			parts = append(parts, backend.Part{Name: name, Value: joules, Outside: true, Static: name == otherLeakage})
		}
	}
	return parts
}

// memory returns what the datapath stores, in bytes; the package comment says what each part
// holds. A layer that is not recurrent is one part.
func (c *cost) memory() []backend.Part {
	const codes, levels, tables, state = backend.PartCodes, backend.PartLevels, backend.PartTables, backend.PartState
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

func (c *cost) notes() []string {
	d, width := c.design, c.program.Recurrent
	column := d.column(width)
	units, memory := c.columnArea(column, width)
	power := sum(c.power(column, width))
	notes := []string{
		fmt.Sprintf("%s column at %g MHz: %d units, %.0f GOps/s; by the model %.2f mm² and %.0f mW while all units work%s",
			width, d.ClockMHz, column.Units, d.throughput(width)/1e9, units+memory, power*1e3, published(column, d.Source)),
		fmt.Sprintf("energy is counted events × the table %s in %s, %s", c.costs.Table.Name, c.costs.Process, c.factors),
		"the area of the recurrent layers is that of their column, units and weight memory; the rest is what the whole network needs beside it",
	}
	if c.hasLayers() {
		notes = append(notes, fmt.Sprintf("layers that are not recurrent take 12-bit weights and run on a 12-bit column of %d units beside it", d.Columns.TwelveBit.Units))
	}
	for _, recurrent := range []bool{true, false} {
		if c.spilled[recurrent] == 0 {
			continue
		}
		what, how := "recurrent weights", "the design names no DRAM, so they count as if they were on the chip"
		if !recurrent {
			what = "other weights"
		}
		if d.DRAM != nil {
			how = "they come from " + d.DRAM.Type + " whenever they are used"
		}
		notes = append(notes, fmt.Sprintf("%.0f %% of the %s do not fit into the memory of their column: %s", 100*c.spilled[recurrent], what, how))
	}
	for _, g := range c.program.Graphs {
		for _, w := range g.Work {
			if has := d.column(c.width(w.Recurrent)).AccumulatorBits; w.SumBits > has {
				notes = append(notes, fmt.Sprintf("sums of %s may take %d bits, and the accumulators of the %s column have %d: a sum that overflows them counts as it is", w.Name, w.SumBits, c.width(w.Recurrent), has))
			}
		}
	}
	if c.program.Root != "" {
		notes = append(notes, fmt.Sprintf("%s takes a unit for roots and sums of %d and %d bits on the lanes, which no published figure covers", c.program.Root, sumBits, squareBits))
	}
	if c.program.KeptBits(c.steps) > 0 {
		notes = append(notes, "what a graph leaves to a later one is workspace; the energy has no part for writing and reading it")
	}
	if c.work > 0 {
		notes = append(notes, fmt.Sprintf("elementwise operations take %.1f %% of the work's cycles, on %d lanes (an assumption)", 100*c.lanes/c.work, d.Lanes))
	}
	return notes
}

// published returns the figures that the source of a column publishes, as the end of a note.
func published(c Column, source string) string {
	if c.Published == nil {
		return ""
	}
	return fmt.Sprintf(", published %g mm² and %g mW (%s)", c.Published.Area, c.Published.Power, source)
}
