// Package cpu is the backend that is really here: the packed network computed by
// the processor this runs on, and its time measured.
package cpu

import (
	"fmt"

	"bittern/accel/kernels/lut"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// network is a step graph made ready to run: weights laid out for table
// look-up, nodes turned into instructions. It is not changed by running: any
// number of goroutines may, each in a session of its own.
type network struct {
	graph     stepgraph.Graph
	precision lut.Precision

	matrices map[string]*lut.Matrix
	columns  map[string]*lut.Columns

	program []instruction
	vectors [][]*lut.Matrix // that multiply a vector each
	memory  int             // float32 of all values of a time step
	input   value
	states  []state
	output  value
}

// value is where a vector lies in the memory of a session.
type value struct{ from, to int }

func (v value) size() int { return v.to - v.from }

// state is a recurrent edge.
type state struct {
	init      []float32
	now, next value
}

// newNetwork makes a network of a graph and the weights it names, which must
// pass [stepgraph.Graph.Validate]. Weights are exact; precision says how
// products treat activations.
func newNetwork(g stepgraph.Graph, weights map[string]packed.Matrix, precision lut.Precision) (*network, error) {
	if err := g.Validate(weights); err != nil {
		return nil, err
	}
	n := &network{graph: g, precision: precision, matrices: map[string]*lut.Matrix{}, columns: map[string]*lut.Columns{}}
	if err := n.layOut(weights); err != nil {
		return nil, err
	}
	n.compile()
	return n, nil
}

// layOut lays out every weight for the operations that use it.
func (n *network) layOut(weights map[string]packed.Matrix) (err error) {
	for _, node := range n.graph.Nodes {
		name := node.Weight
		switch {
		case node.Op == stepgraph.MatVec && n.matrices[name] == nil:
			n.matrices[name], err = lut.New(weights[name], n.precision)
		case node.Op == stepgraph.Lookup && n.columns[name] == nil:
			n.columns[name], err = lut.NewColumns(weights[name])
		}
		if err != nil {
			return fmt.Errorf("cpu: weight %q: %w", name, err)
		}
	}
	return nil
}

// outputSize is the number of values a time step gives out.
func (n *network) outputSize() int { return n.output.size() }

// session runs one sequence at a time through a network.
type session struct {
	network     *network
	memory      []float32
	activations []*lut.Activations
	step, token int
}

// newSession makes a session that stands before the first time step.
func (n *network) newSession() *session {
	s := &session{network: n, memory: make([]float32, n.memory)}
	for _, matrices := range n.vectors {
		s.activations = append(s.activations, lut.NewActivations(matrices...))
	}
	s.reset()
	return s
}

// reset goes back to before the first time step.
func (s *session) reset() {
	s.step = 0
	for _, state := range s.network.states {
		copy(s.at(state.now), state.init)
	}
}

// runToken runs a time step on a token below the input's size. The output is valid
// until the next step.
func (s *session) runToken(token int32) []float32 {
	s.token = int(token)
	return s.run()
}

// runDense runs a time step on a vector of the input's size. The output is valid
// until the next step.
func (s *session) runDense(x []float32) []float32 {
	copy(s.at(s.network.input), x)
	return s.run()
}

func (s *session) run() []float32 {
	for _, instruction := range s.network.program {
		instruction.run(s)
	}
	for _, state := range s.network.states {
		copy(s.at(state.now), s.at(state.next))
	}
	s.step++
	return s.at(s.network.output)
}

func (s *session) at(v value) []float32 { return s.memory[v.from:v.to:v.to] }
