package mcu

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"bittern/accel/backends/internal/layers"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// The parts of the cycles, and so of the energy.
const (
	arithmetic    = backend.PartArithmetic
	weightMemory  = backend.PartWeightMemory
	normalization = backend.PartNormalization
	nonlinear     = backend.PartNonlinear
	attention     = backend.PartAttention
)

// energyParts lists those of recurrent layers in the order in which they are shown and summed. Each
// other layer is one part.
var energyParts = []string{arithmetic, weightMemory, normalization, nonlinear}

// counts are the cycles of a sequence by part.
type counts map[string]float64

func (c counts) total() float64 {
	sum := 0.0
	for _, name := range slices.Concat(energyParts, layers.Others) {
		sum += c[name]
	}
	return sum
}

// count counts the cycles of a sequence with so many steps of each stream.
func (m *machine) count(steps map[string]int) counts {
	c := counts{}
	for _, s := range m.program.Stages {
		times := 1.0
		if stream := m.program.Along(s); stream != "" {
			times = float64(steps[stream])
		}
		switch s.Op {
		case network.Scan:
			m.step(c, s.Graph, times)
		case network.Softmax:
			c[attention] += times*(largestValue+exponential+3*floatOp+floatLoad+floatStore+loop+unary) + division
		case network.WeightedSum:
			c[attention] += times * float64(m.values[s.Name].Size) * (binary + floatLoad + floatOp)
		}
	}
	return c
}

// The cycles of an element.
const (
	unary        = floatLoad + floatOp + floatStore + loop // one operand, one operation
	binary       = unary + floatLoad
	sigmoid      = floatLoad + floatOp + exponential + floatOp + division + floatStore + loop
	tangent      = sigmoid + 2*floatOp // 1 − 2/(1 + e²ˣ)
	round        = unary + 6*floatOp + 2*compare
	normalize    = (floatLoad + floatOp + loop) + (floatLoad + 3*floatOp + loop) + (unary + floatOp)
	copied       = load + store + loop
	largestValue = floatLoad + floatOp + compare + loop
	rounding     = largestValue + floatLoad + 3*floatOp + store + loop          // to a whole number: multiply, convert, move
	result       = 2*floatOp + floatLoad + 2*floatOp + floatStore + loop        // of a row: move, convert, scale, unit
	looked       = load + 2*integerOp + 2*floatOp + floatOp + floatStore + loop // of a row of a column: mask, move, convert, scale
	rowPair      = 10*integerOp + branch                                        // pointers and bounds of two rows: an assumption
	added        = floatLoad + floatOp                                          // to what an earlier plane gave
)

// step counts so many time steps of a graph.
func (m *machine) step(c counts, g stepgraph.Graph, times float64) {
	sizes, rounded, outside := g.Sizes(), map[string]bool{}, layers.Outside(g)
	for _, n := range g.Nodes {
		size := times * float64(n.Size)
		part := func(name string) string { return cmp.Or(outside[n.Name], name) }
		switch n.Op {
		case stepgraph.MatVec:
			depth := sizes[n.Inputs[0]]
			if !rounded[n.Inputs[0]] { // once for all products of it
				rounded[n.Inputs[0]] = true
				c[part(arithmetic)] += times*float64(depth)*rounding + times*division
			}
			for i, k := range m.kernels[n.Weight] {
				pairs := times * float64((n.Size+1)/2)
				c[part(arithmetic)] += pairs * (float64((depth+3)/4)*k.block() + rowPair)
				c[part(arithmetic)] += size * (result + float64(min(i, 1))*added)
				c[part(weightMemory)] += m.wait(float64(k.bits*n.Size*depth)) * times
			}
		case stepgraph.Lookup:
			for i, k := range m.kernels[n.Weight] {
				c[part(arithmetic)] += size * (looked + float64(min(i, 1))*added)
				c[part(weightMemory)] += m.wait(float64(k.bits*n.Size)) * times
			}
		case stepgraph.ScaleShift:
			tables := min(n.Scale.Rows, 1) + min(n.Shift.Rows, 1)
			c[part(normalization)] += size * (floatLoad + floatStore + loop + float64(tables)*(floatLoad+floatOp))
			c[part(normalization)] += m.wait(float64(32*tables*n.Size)) * times
		case stepgraph.Add, stepgraph.Mul:
			c[part(arithmetic)] += size * binary
		case stepgraph.Sigmoid:
			c[part(nonlinear)] += size * sigmoid
		case stepgraph.Tanh:
			c[part(nonlinear)] += size * tangent
		case stepgraph.Round:
			c[part(nonlinear)] += size * round
		case stepgraph.Normalize:
			c[part(normalization)] += size*normalize + times*(3*division+root)
		case stepgraph.Concat:
			c[part(arithmetic)] += size * copied
		}
	}
}

// wait returns the cycles that the core waits for so many bits of flash: the wait states of
// each line of 64 bits.
func (m *machine) wait(bits float64) float64 { return bits / 64 * float64(m.waitStates) }

func (m *machine) Cost(ctx context.Context, steps map[string]int) (backend.Cost, error) {
	if err := m.fitSRAM(steps); err != nil {
		return backend.Cost{}, err
	}
	c := m.count(steps)
	cycles := c.total()
	seconds := cycles / m.clock
	var energy []backend.Part
	for _, name := range energyParts {
		energy = append(energy, backend.Part{Name: name, Value: c[name] * m.perCycle})
	}
	for _, name := range layers.Others {
		if cycles, has := c[name]; has {
			energy = append(energy, backend.Part{Name: name, Value: cycles * m.perCycle, Outside: true})
		}
	}
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds, Energy: energy, Memory: m.memoryParts(steps),
		Missing:       map[string]string{"area": "the data sheet gives no area of the chip"},
		Substitutions: m.program.Substitutions,
		Notes: []string{
			fmt.Sprintf("%s at %.0f MHz: %d KiB of flash, %d KiB of SRAM, %.3g pJ a cycle whatever is done in it", m.name, m.clock/1e6, m.part.flashKiB, m.part.sramKiB, m.perCycle*1e12),
			fmt.Sprintf("%s; the figure is read for the STM32L412 and assumed for the others of its series", currentSource),
			fmt.Sprintf("cycles by hand from the loops of CMSIS-NN and the core's instructions; kernels for codes of less than 8 bits, %d wait states of flash and %d cycles for e^x are assumptions", m.waitStates, exponential),
			fmt.Sprintf("flash: %.1f of %d KiB with %d for code; SRAM: %.1f of %d KiB with %d for the stack", m.flashBytes()/1024+codeKiB, m.part.flashKiB, codeKiB, m.sramBytes(steps)/1024+stackKiB, m.part.sramKiB, stackKiB),
		},
	}, ctx.Err()
}
