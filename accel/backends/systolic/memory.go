package systolic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// stored is a weight or the tables of a node.
type stored struct {
	name string
	part string  // of the memory
	bits float64 // that it takes, without the scales of a weight
	side float64 // bits of the scales of a weight
}

// store lists what the network keeps, in the order of its first use.
func (m *machine) store() []stored {
	var list []stored
	known := map[string]bool{"": true}
	for _, s := range m.program.Stages {
		for _, n := range s.Graph.Nodes {
			if rows := n.Scale.Rows + n.Shift.Rows; rows > 0 {
				list = append(list, stored{name: table(s, n), part: backend.PartTables, bits: float64(rows * n.Size * floatBits)})
			}
			if known[n.Weight] {
				continue
			}
			known[n.Weight] = true
			w := m.program.Weights[n.Weight]
			list = append(list, stored{
				name: n.Weight, part: m.program.Parts[n.Weight],
				bits: float64(w.Rows) * float64(w.Cols) * float64(w.Bits()), side: float64(floatBits * w.ScaleCount()),
			})
		}
	}
	return list
}

// memoryParts is what the network takes, in bytes.
func (m *machine) memoryParts(steps map[string]int) []backend.Part {
	bits := map[string]float64{backend.PartWorkspace: float64(8*m.program.KeptBytes(steps)) + m.largestWorkspace()}
	for _, s := range m.stored {
		bits[s.part] += s.bits
		bits[backend.PartLevels] += s.side
	}
	for _, s := range m.program.Stages {
		bits[backend.PartState] += float64(8 * s.Graph.StateBytes())
	}
	var parts []backend.Part
	for _, name := range []string{
		backend.PartCodes, backend.PartLevels, backend.PartTables, backend.PartState,
		backend.PartEmbedding, backend.PartOutputLayer, backend.PartWorkspace,
	} {
		parts = append(parts, backend.Part{Name: name, Value: bits[name] / 8})
	}
	return parts
}

// stepBits is what a graph works on at one time step: its inputs, states and values as
// float32, and the whole numbers that vectors are rounded to.
func (m *machine) stepBits(g stepgraph.Graph) int {
	bits, sizes := 0, g.Sizes()
	for _, in := range g.Inputs {
		if in.Token {
			bits += floatBits
		} else {
			bits += floatBits * in.Size
		}
	}
	for _, s := range g.States {
		bits += floatBits * s.Size
	}
	for _, n := range g.Nodes {
		if n.Op != stepgraph.Slice {
			bits += floatBits * n.Size
		}
		if n.Op == stepgraph.MatVec {
			bits += m.activationBits * sizes[n.Inputs[0]]
		}
	}
	return bits
}

// largestWorkspace returns the bits of the graph that works on the most.
func (m *machine) largestWorkspace() float64 {
	most := 0
	for _, s := range m.program.Stages {
		if s.Op == network.Scan {
			most = max(most, m.chunks[s.Name]*m.stepBits(s.Graph))
		}
	}
	return float64(most)
}

// fitSteps finds how many time steps of each graph the activation memory has room for.
func (m *machine) fitSteps(atOnce int) error {
	for _, s := range m.program.Stages {
		if s.Op != network.Scan {
			continue
		}
		each := m.stepBits(s.Graph)
		room := m.activationKiB * 1024 * 8 / each
		if room == 0 {
			return &backend.ErrUnsupported{Reason: fmt.Sprintf(
				"a time step of stage %q works on %.1f KiB and the activation memory has %d; give more %s", s.Name, float64(each)/8/1024, m.activationKiB, activationKiB)}
		}
		m.chunks[s.Name] = min(room, atOnce)
	}
	return nil
}

// placement says which of the stored weights and tables are outside of the chip.
type placement struct {
	outside map[string]float64 // by name, the share that does not fit
	bits    float64            // outside, of all
	total   float64            // bits of all
}

// place fills the weight memory with what is read the most for each bit that it takes. If
// not everything fits, the memory also keeps room for the weights that the array loads next.
func (m *machine) place(c *counts) placement {
	reads := func(s stored) float64 { return (c.weights[s.name] + c.tables[s.name]) / s.bits }
	order := slices.Clone(m.stored)
	slices.SortStableFunc(order, func(a, b stored) int { return cmp.Compare(reads(b), reads(a)) })
	p := placement{outside: map[string]float64{}}
	for _, s := range order {
		p.total += s.bits + s.side
	}
	room := float64(m.weightKiB) * 1024 * 8
	if p.total > room {
		room = max(0, room-m.foldBits())
	}
	for _, s := range order {
		size := s.bits + s.side
		inside := min(size, room)
		room -= inside
		if size > inside {
			p.outside[s.name] = (size - inside) / size
			p.bits += size - inside
		}
	}
	return p
}

// foldBits is the room for the weights that the array loads next: of one fold, or of two
// with double buffering.
func (m *machine) foldBits() float64 {
	fold := float64(m.array.rows * m.array.columns * m.precision)
	if m.doubleBuffering {
		return 2 * fold
	}
	return fold
}

// describe says in words what is outside.
func (p placement) describe(kib int) string {
	if p.bits == 0 {
		return fmt.Sprintf("all weights and tables, %.1f KiB, fit into the %d KiB of weight memory and stay there", p.total/8/1024, kib)
	}
	var shares []string
	for name, share := range p.outside {
		shares = append(shares, fmt.Sprintf("%.0f %% of %s", 100*share, name))
	}
	slices.Sort(shares)
	return fmt.Sprintf("%.1f of %.1f KiB of weights and tables do not fit into the %d KiB of weight memory and are read from DRAM at each use: %s",
		p.bits/8/1024, p.total/8/1024, kib, strings.Join(shares, ", "))
}
