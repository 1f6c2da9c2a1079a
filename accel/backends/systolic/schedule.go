package systolic

import (
	"math/bits"

	"bittern/accel/backends/internal/layers"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// A root, a reciprocal or a division begins with a table of 8 bits and takes two steps of
// Newton's method, each of four operations that wait for the one before for two cycles: an
// assumption. These are the cycles, and the float32 multiplications and additions: of y ←
// y·(1.5 − ½x·y·y) with ½x for a root, of y ← y·(2 − x·y) and a product for a division.
const (
	latency          = 16
	rootMultiplies   = 7
	divideMultiplies = 5
	newtonAdds       = 2
)

// The widths of sums, and of everything that is float32, in bits.
const (
	sumBits   = 32
	floatBits = 32
)

// counts are the events of a sequence.
type counts struct {
	// wants says of a layer whether its events count: of the recurrent ones, "", or of another one,
	// named as in package layers. nil counts all.
	wants func(layer string) bool

	array, lanes          float64 // cycles
	macs                  float64 // of one pass
	inputBits             float64 // that the array reads of the activation memory
	sumReads, sumWrites   float64 // sums that it reads and writes there
	laneReads, laneWrites float64 // float32 of the activation memory

	multiplies, adds map[string]float64 // float32 of the lanes, by part of the energy

	weights map[string]float64 // bits read by weight
	tables  map[string]float64 // bits read by stage and node
}

func newCounts() *counts {
	return &counts{multiplies: map[string]float64{}, adds: map[string]float64{}, weights: map[string]float64{}, tables: map[string]float64{}}
}

// schedule counts the events of a sequence with so many steps of each stream.
func (m *machine) schedule(steps map[string]int) *counts {
	c := newCounts()
	m.count(c, steps)
	return c
}

// scheduleOf counts those of one layer.
func (m *machine) scheduleOf(layer string, steps map[string]int) *counts {
	c := newCounts()
	c.wants = func(other string) bool { return other == layer }
	m.count(c, steps)
	return c
}

func (c *counts) skips(layer string) bool { return c.wants != nil && !c.wants(layer) }

func (m *machine) count(c *counts, steps map[string]int) {
	for _, s := range m.program.Stages {
		times := 1
		if stream := m.program.Along(s); stream != "" {
			times = steps[stream]
		}
		switch {
		case s.Op == network.Scan:
			m.scan(c, s, times)
		case c.skips(backend.PartAttention):
		case s.Op == network.Softmax:
			m.pass(c, 1, times, softmax)
			m.serial(c, 1, nonlinear, divideMultiplies)
		case s.Op == network.WeightedSum:
			m.pass(c, times, m.values[s.Name].Size, laneWork{arithmetic, 1, 1, 1, 2, 1})
		}
	}
}

// laneWork is what an operation of the lanes does for each element of a vector.
type laneWork struct {
	part             string // of the energy
	passes           int    // how often it passes through the lanes
	multiplies, adds int    // float32
	reads, writes    int    // float32 of the activation memory
}

// The operations that take several passes. A softmax finds the largest; subtracts it, and
// takes e^x from a table of straight segments; adds up; and multiplies by the reciprocal of
// the sum. A Normalize adds up; subtracts the mean, squares and adds up; and subtracts the
// mean and multiplies by the reciprocal of the root.
var (
	softmax   = laneWork{nonlinear, 4, 2, 4, 4, 2}
	normalize = laneWork{normalization, 3, 2, 4, 3, 1}
)

// pass counts an operation of the lanes on so many elements that is done so many times.
func (m *machine) pass(c *counts, times, size int, w laneWork) {
	n := float64(times) * float64(size)
	c.lanes += float64(times) * float64(w.passes*blocks(size, m.lanes))
	c.multiplies[w.part] += float64(w.multiplies) * n
	c.adds[w.part] += float64(w.adds) * n
	c.laneReads += float64(w.reads) * n
	c.laneWrites += float64(w.writes) * n
}

// serial counts, of an operation that is done so many times, the two sums that the lanes
// have in parts, each added up in a tree, and a root or division of what they give.
func (m *machine) serial(c *counts, times int, part string, multiplies int) {
	c.lanes += float64(times) * float64(2*bits.Len(uint(m.lanes-1))+latency)
	c.multiplies[part] += float64(times) * float64(multiplies)
	c.adds[part] += float64(times) * float64(2*(m.lanes-1)+newtonAdds)
}

// scan counts so many time steps of a graph. A product in the recurrence has one vector, any
// other as many as are done at once.
func (m *machine) scan(c *counts, s network.Stage, times int) {
	recurrent, sizes, chunk := recurrence(s.Graph), s.Graph.Sizes(), m.chunks[s.Name]
	rounded, outside := map[string]bool{}, layers.Outside(s.Graph)
	for _, n := range s.Graph.Nodes {
		done := n.Op == stepgraph.MatVec && rounded[n.Inputs[0]]
		if n.Op == stepgraph.MatVec {
			rounded[n.Inputs[0]] = true
		}
		if c.skips(outside[n.Name]) {
			continue
		}
		if n.Op != stepgraph.MatVec {
			m.vectors(c, s, n, times)
			continue
		}
		depth := sizes[n.Inputs[0]]
		at, vectors := times, 1
		if !recurrent[n.Name] {
			at, vectors = times/chunk, chunk
		}
		m.multiply(c, n, depth, vectors, at)
		m.multiply(c, n, depth, times-at*vectors, 1)
		// The operand is rounded once for all that multiply it.
		if !done {
			m.pass(c, times, depth, laneWork{arithmetic, 2, 1, 1, 2, 1})
		}
		for i, p := range m.program.Weights[n.Weight].Planes {
			scales := 1
			if len(p.Scales) > 1 {
				scales = 2
			}
			m.pass(c, times, n.Size, laneWork{arithmetic, 1, scales, min(i, 1), 1 + min(i, 1), 1})
		}
	}
}

// multiply counts a product that is done so many times.
func (m *machine) multiply(c *counts, n stepgraph.Node, depth, vectors, times int) {
	if vectors == 0 || times == 0 {
		return
	}
	p, often := product{outputs: n.Size, depth: depth, vectors: vectors}, float64(times)
	moved := m.array.accesses(p)
	for _, plane := range m.program.Weights[n.Weight].Planes {
		passes := often * float64(blocks(plane.Bits, m.precision))
		c.array += passes * float64(m.array.cycles(p))
		c.macs += passes * float64(p.outputs) * float64(p.depth) * float64(p.vectors)
		c.inputBits += passes * float64(moved.inputs*m.activationBits)
		// A sum that is not the last of its element is read again, to be added to.
		c.sumWrites += passes * float64(moved.sums)
		c.sumReads += passes * float64(moved.sums-p.outputs*p.vectors)
		c.weights[n.Weight] += often * float64(moved.weights) * float64(plane.Bits)
	}
}

// vectors counts any other operation of a graph.
func (m *machine) vectors(c *counts, s network.Stage, n stepgraph.Node, times int) {
	switch n.Op {
	case stepgraph.Slice, stepgraph.Concat: // addresses
	case stepgraph.Lookup:
		w := m.program.Weights[n.Weight]
		for i := range w.Planes {
			m.pass(c, times, n.Size, laneWork{arithmetic, 1, 1, min(i, 1), min(i, 1), 1})
		}
		c.weights[n.Weight] += float64(times) * float64(n.Size*w.Bits())
	case stepgraph.Add:
		m.pass(c, times, n.Size, laneWork{arithmetic, 1, 0, 1, 2, 1})
	case stepgraph.Mul:
		m.pass(c, times, n.Size, laneWork{arithmetic, 1, 1, 0, 2, 1})
	case stepgraph.ScaleShift:
		scale, shift := min(n.Scale.Rows, 1), min(n.Shift.Rows, 1)
		m.pass(c, times, n.Size, laneWork{normalization, 1, scale, shift, 1, 1})
		c.tables[table(s, n)] += float64(times) * float64((scale+shift)*n.Size*floatBits)
	case stepgraph.Normalize:
		m.pass(c, times, n.Size, normalize)
		m.serial(c, times, normalization, rootMultiplies)
	default: // sigmoid, tanh and round: a segment of a piecewise linear function
		m.pass(c, times, n.Size, laneWork{nonlinear, 1, 1, 1, 1, 1})
	}
}

// table names the tables of a node.
func table(s network.Stage, n stepgraph.Node) string { return s.Name + "." + n.Name }

// recurrence are the nodes that lie between a state and the next value of one: those
// whose value at a step depends on the step before and on which the next depends.
func recurrence(g stepgraph.Graph) map[string]bool {
	after := map[string]bool{} // depends on a state
	for _, s := range g.States {
		after[s.Name] = true
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			after[n.Name] = after[n.Name] || after[in]
		}
	}
	before, both := layers.BeforeStates(g), map[string]bool{}
	for _, n := range g.Nodes {
		both[n.Name] = after[n.Name] && before[n.Name]
	}
	return both
}
