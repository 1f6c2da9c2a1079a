package integer

import (
	"math"

	"bittern/accel/backends/internal/program"
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/stepgraph"
)

// graph is a step graph whose weights are packed for products. It does not change.
type graph struct {
	stepgraph.Graph
	weights map[string]*Weight
	most    float32        // the largest whole number of an activation
	values  map[string]int // numbers of the inputs, states and nodes
	sizes   []int          // by number
	rounded []bool         // values that a matrix multiplies
}

func compile(g stepgraph.Graph, weights map[string]*Weight, activations int) *graph {
	c := &graph{Graph: g, weights: weights, most: largest(activations), values: map[string]int{}}
	define := func(name string, size int) {
		c.values[name] = len(c.sizes)
		c.sizes = append(c.sizes, size)
	}
	for _, in := range g.Inputs {
		if in.Token {
			define(in.Name, 0)
		} else {
			define(in.Name, in.Size)
		}
	}
	for _, s := range g.States {
		define(s.Name, s.Size)
	}
	for _, n := range g.Nodes {
		define(n.Name, n.Size)
	}
	c.rounded = make([]bool, len(c.sizes))
	for _, n := range g.Nodes {
		if n.Op != stepgraph.MatVec {
			continue
		}
		c.rounded[c.values[n.Inputs[0]]] = true
		weights[n.Weight].prepare(c.most)
	}
	return c
}

// machine runs a graph on sequences side by side.
type machine struct {
	*graph
	positions []int       // of each sequence in the tables
	tokens    [][]int32   // by input and sequence
	values    [][]float32 // by number, [sequences, size]
	whole     [][]float32 // by number, the rounded value, where a matrix multiplies it
	units     [][]float32 // by number and sequence, the scale of its whole numbers
	fresh     []bool      // by number, whether this step's value is rounded already
	worker
}

// NewMachine makes a machine for so many sequences.
func (g *graph) NewMachine(sequences int) program.Machine {
	m := &machine{
		graph: g, positions: make([]int, sequences),
		whole: make([][]float32, len(g.sizes)), units: make([][]float32, len(g.sizes)), fresh: make([]bool, len(g.sizes)),
	}
	for range g.Inputs {
		m.tokens = append(m.tokens, make([]int32, sequences))
	}
	for v, size := range g.sizes {
		m.values = append(m.values, make([]float32, sequences*size))
		if g.rounded[v] {
			m.whole[v], m.units[v] = make([]float32, sequences*size), make([]float32, sequences)
		}
	}
	return m
}

// of returns a value of one sequence.
func (m *machine) of(name string, sequence int) []float32 {
	v := m.graph.values[name]
	size := m.sizes[v]
	return m.values[v][sequence*size : (sequence+1)*size]
}

func (m *machine) Reset(sequence int) {
	m.positions[sequence] = 0
	for _, s := range m.States {
		copy(m.of(s.Name, sequence), s.Init)
	}
}

func (m *machine) SetToken(input, sequence int, token int32) { m.tokens[input][sequence] = token }

func (m *machine) SetVector(input, sequence int, x []float32) {
	copy(m.of(m.Inputs[input].Name, sequence), x)
}

func (m *machine) Step(sequences int) error {
	clear(m.fresh)
	for i := range m.Nodes {
		n := &m.Nodes[i]
		if n.Op == stepgraph.MatVec {
			m.multiply(n, sequences)
			continue
		}
		for s := range sequences {
			m.run(n, s)
		}
	}
	for s := range sequences {
		for _, state := range m.States {
			copy(m.of(state.Name, s), m.of(state.Next, s))
		}
		m.positions[s]++
	}
	return nil
}

func (m *machine) Output(sequence int) []float32 { return m.of(m.graph.Output, sequence) }

func (m *machine) Save(sequence int) program.State {
	saved := program.State{Position: m.positions[sequence]}
	for _, s := range m.States {
		saved.Values = append(saved.Values, m.of(s.Name, sequence)...)
	}
	return saved
}

func (m *machine) Restore(sequence int, saved program.State) {
	m.positions[sequence] = saved.Position
	values := saved.Values
	for _, s := range m.States {
		values = values[copy(m.of(s.Name, sequence), values):]
	}
}

// multiply runs a MatVec. Its operand is rounded once a step for all that multiply it.
func (m *machine) multiply(n *stepgraph.Node, sequences int) {
	x := m.graph.values[n.Inputs[0]]
	if size := m.sizes[x]; !m.fresh[x] {
		for s := range sequences {
			m.units[x][s] = quantize(m.whole[x][s*size:][:size], m.values[x][s*size:][:size], m.most)
		}
		m.fresh[x] = true
	}
	m.weights[n.Weight].multiply(m.values[m.graph.values[n.Name]], m.whole[x], m.units[x], sequences, &m.worker)
}

// run runs any other operation for one sequence.
func (m *machine) run(n *stepgraph.Node, s int) {
	y := m.of(n.Name, s)
	if n.Op == stepgraph.Lookup {
		for input := range m.Inputs {
			if m.Inputs[input].Name == n.Inputs[0] {
				m.weights[n.Weight].column(y, int(m.tokens[input][s]))
			}
		}
		return
	}
	x := m.of(n.Inputs[0], s)
	switch n.Op {
	case stepgraph.Slice:
		copy(y, x[n.Offset:])
	case stepgraph.Concat:
		copy(y[copy(y, x):], m.of(n.Inputs[1], s))
	case stepgraph.Sigmoid:
		vecmath.Sigmoid(y, x)
	case stepgraph.Tanh:
		vecmath.Tanh(y, x)
	case stepgraph.Round:
		vecmath.Round(y, x, n.Bits)
	case stepgraph.Normalize:
		normalize(y, x, n.Epsilon)
	case stepgraph.Add:
		copy(y, x)
		vecmath.Add(y, m.of(n.Inputs[1], s))
	case stepgraph.Mul:
		copy(y, x)
		vecmath.Mul(y, m.of(n.Inputs[1], s))
	case stepgraph.ScaleShift:
		copy(y, x)
		if n.Scale.Rows > 0 {
			vecmath.Mul(y, n.Scale.Row(m.positions[s], n.Size))
		}
		if n.Shift.Rows > 0 {
			vecmath.Add(y, n.Shift.Row(m.positions[s], n.Size))
		}
	default:
		panic("integer: operation " + string(n.Op) + " passed validation")
	}
}

func normalize(y, x []float32, epsilon float64) {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	unit := 1 / math.Sqrt(variance/float64(len(x))+epsilon)
	for i, v := range x {
		y[i] = float32((float64(v) - mean) * unit)
	}
}
