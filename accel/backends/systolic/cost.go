package systolic

import (
	"context"
	"fmt"

	"bittern/accel/backends/internal/layers"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// The parts of the energy that the lanes share with others.
const (
	arithmetic    = backend.PartArithmetic
	normalization = backend.PartNormalization
	nonlinear     = backend.PartNonlinear
)

// traffic is what moves between DRAM and the chip for a whole sequence, in bits.
type traffic struct {
	weights, tables float64 // that do not fit
	in, out         float64 // inputs and logits, each with what stages leave to each other and does not fit
	first           float64 // the part of all of it that array and vector unit have to wait for
}

func (t traffic) bits() float64 { return t.weights + t.tables + t.in + t.out }

func (m *machine) traffic(c *counts, p placement, steps map[string]int) traffic {
	var t traffic
	for _, s := range m.stored { // in their order, so that the sums are always the same
		t.weights += p.outside[s.name] * c.weights[s.name]
		t.tables += p.outside[s.name] * c.tables[s.name]
	}
	for _, in := range m.program.Inputs {
		size, often := 1, 1
		if in.Role == network.Features {
			size = in.Size
		}
		if in.Role == network.Candidates {
			continue // of who reads the logits
		}
		if in.Role != network.Lengths {
			often = steps[in.Stream]
		}
		t.in += float64(floatBits * size * often)
		t.first += float64(floatBits * size)
	}
	logits, often := floatBits*m.program.Classes(), 1
	if stream := m.program.Targets(); stream != "" {
		often = steps[stream]
	}
	t.out += float64(logits * often)
	t.first += float64(logits)
	if p.bits > 0 {
		t.first += m.foldBits()
	}
	// What stages leave to later ones is written and read once where it does not fit.
	room := float64(m.activationKiB*1024*8) - m.largestWorkspace()
	spilled := max(0, float64(8*m.program.KeptBytes(steps))-room)
	t.in, t.out = t.in+spilled, t.out+spilled
	t.first = min(t.first, t.bits())
	return t
}

// cycles adds those of the array and of the vector unit. Those of DRAM run beside them or,
// without double buffering, are added too.
func (m *machine) cycles(c *counts, t traffic) float64 {
	compute, moved, first := c.array+c.lanes, t.bits()/m.dramBits, t.first/m.dramBits
	if m.doubleBuffering {
		return first + max(compute, moved-first)
	}
	return compute + moved
}

func (m *machine) Cost(ctx context.Context, steps map[string]int) (backend.Cost, error) {
	c := m.schedule(steps)
	p := m.place(c)
	t := m.traffic(c, p, steps)
	cycles := m.cycles(c, t)
	seconds := cycles / m.clock
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds, Area: m.area(),
		Energy: m.energyParts(p, t, steps, seconds), Memory: m.memoryParts(steps),
		Substitutions: m.program.Substitutions, Notes: m.notes(c, p, t, cycles),
	}, ctx.Err()
}

// energyParts are the counted events times the table: the parts of the recurrent layers, and as one
// part each what publications leave out. What comes from DRAM, and goes there, passes through the
// activation memory.
func (m *machine) energyParts(p placement, t traffic, steps map[string]int, seconds float64) []backend.Part {
	parts := append(m.events(m.scheduleOf("", steps), p, t.in, t.out),
		backend.Part{Name: backend.PartLeakage, Value: m.leakage() * seconds, Static: true},
		backend.Part{Name: backend.PartDRAM, Value: t.bits() * m.costs.DRAM(m.dram), Outside: true})
	for _, layer := range layers.Others {
		other := backend.Part{Name: layer, Outside: true}
		for _, part := range m.events(m.scheduleOf(layer, steps), p, 0, 0) {
			other.Value += part.Value
		}
		if other.Value > 0 {
			parts = append(parts, other)
		}
	}
	return parts
}

// events are counted events times the table. in and out are bits that come from DRAM and go there,
// beside weights and tables.
func (m *machine) events(c *counts, p placement, in, out float64) []backend.Part {
	e := m.costs
	weightBits, tableBits, fetchedWeights, fetchedTables := 0.0, 0.0, 0.0, 0.0
	for _, s := range m.stored {
		weightBits += c.weights[s.name]
		tableBits += c.tables[s.name]
		fetchedWeights += p.outside[s.name] * c.weights[s.name]
		fetchedTables += p.outside[s.name] * c.tables[s.name]
	}
	perMAC := e.Add(sumBits)
	if m.precision > 1 {
		perMAC += e.Multiply(m.precision, m.activationBits)
	}
	inLanes := func(part string) float64 { return c.multiplies[part]*e.FloatMultiply() + c.adds[part]*e.FloatAdd() }
	weights, values := bank(m.weightKiB), bank(m.activationKiB)
	reads := c.inputBits + sumBits*c.sumReads + floatBits*c.laneReads + out
	writes := sumBits*c.sumWrites + floatBits*c.laneWrites + in
	return []backend.Part{
		{Name: arithmetic, Value: c.macs*perMAC + inLanes(arithmetic)},
		{Name: backend.PartWeightMemory, Value: weightBits*e.Read(weights) + fetchedWeights*e.Write(weights)},
		{Name: backend.PartActivationMemory, Value: reads*e.Read(values) + writes*e.Write(values)},
		{Name: normalization, Value: inLanes(normalization) + tableBits*e.Read(weights) + fetchedTables*e.Write(weights)},
		{Name: nonlinear, Value: inLanes(nonlinear)},
		{Name: backend.PartClock, Value: c.array * float64(m.array.rows*m.array.columns*m.clockedBits()) * e.Register()},
	}
}

// leakage is the power that the machine leaks, in watts.
func (m *machine) leakage() float64 {
	elements, lanes := m.logicArea()
	return m.costs.LogicLeakage(elements+lanes) + m.costs.SRAMLeakage(float64((m.weightKiB+m.activationKiB)*1024*8))
}

// clockedBits are the registers of an element that are clocked at every cycle of the
// array: the activation and the sum that it hands on.
func (m *machine) clockedBits() int { return m.activationBits + sumBits }

// logicArea is that of the elements of the array and of the lanes, in mm². A lane is taken to
// be a multiplier and an adder of 32 bits.
func (m *machine) logicArea() (elements, lanes float64) {
	element := m.costs.AdderArea(sumBits) + m.costs.RegisterArea(m.clockedBits()+m.precision)
	if m.precision > 1 {
		element += m.costs.MultiplierArea(m.precision, m.activationBits)
	}
	lane := m.costs.MultiplierArea(floatBits, floatBits) + m.costs.AdderArea(floatBits)
	return float64(m.array.rows*m.array.columns) * element, float64(m.lanes) * lane
}

// area is of the array, the memories and the vector unit, in mm².
func (m *machine) area() []backend.Part {
	elements, lanes := m.logicArea()
	memory := func(kib int) float64 { return float64(kib*1024*8) * m.costs.SRAMArea(bank(kib)) }
	return []backend.Part{
		{Name: arithmetic, Value: elements},
		{Name: backend.PartWeightMemory, Value: memory(m.weightKiB)},
		{Name: backend.PartActivationMemory, Value: memory(m.activationKiB)},
		{Name: backend.PartLanes, Value: lanes},
	}
}

func (m *machine) notes(c *counts, p placement, t traffic, cycles float64) []string {
	a, busy := m.array, 0.0
	if c.array > 0 {
		busy = 100 * c.macs / (c.array * float64(a.rows*a.columns))
	}
	notes := []string{
		fmt.Sprintf("%d × %d array, %s, %d-bit weights and %d-bit activations, %.0f MHz, %d lanes: sizes and clock are options", a.rows, a.columns, a.flow, m.precision, m.activationBits, m.clock/1e6, m.lanes),
		fmt.Sprintf("cycles of products are SCALE-Sim's without stalls; %.1f %% of the elements' cycles multiply", busy),
		fmt.Sprintf("energy and area are counted events and circuits × the table %s in %s; nothing is fitted", m.costs.Table.Name, m.costs.Process),
		p.describe(m.weightKiB),
	}
	if moved := t.bits() / m.dramBits; moved > c.array+c.lanes {
		notes = append(notes, fmt.Sprintf("DRAM is what this network waits for: it takes %.0f cycles, array and vector unit %.0f", moved, c.array+c.lanes))
	}
	return append(notes, fmt.Sprintf("the vector unit takes %.1f %% of the cycles, beside which the array waits (an assumption)", 100*c.lanes/cycles))
}
