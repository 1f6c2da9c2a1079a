// Package cpu is the backend that is really here: the packed network computed by
// the processor this runs on, and its time measured.
//
// # Weights
//
// Weights are laid out by package lut. A MatVec's are planes of bits where the
// codebook is a sum of signs, a Lookup's where it has two or three levels. Weights
// with any other codebook are decoded to float32, which is a Substitution; those
// deployed in full precision are float32 in any case.
//
// # Memory
//
// In bytes, as laid out here, with the padding. A weight that both a MatVec and a
// Lookup use is laid out and counted for each.
//
//	recurrent codes       of recurrent weights that are kept as codes. Of a MatVec, planes
//	                      of bits: rows are filled up to 64, columns to the chunks that
//	                      package lut has for the precision and the instruction set.
//	                      Of a Lookup, a bit a row for each level but the lowest: the rows
//	                      of every column are filled up to 64
//	recurrent float32     of recurrent weights that are kept as float32, 4 bytes each. Of a
//	                      MatVec, rows are filled up to a vector, of 8 with AVX2 and 16
//	                      with AVX-512; of a Lookup there is no padding
//	levels                4 bytes for each value of a codebook: of a MatVec, a weight for
//	                      each group of planes that are summed together, and the centre where
//	                      it is not 0; of a Lookup the levels. Each is there once a row for
//	                      codebooks by row, else once, but 16 times for a Lookup
//	normalisation tables  4 bytes for each scale and shift of the graph, of all the time
//	                      steps they are given for, with the bias of the output layer
//	state                 4 bytes for the initial value of each element of a state
//	embedding             of Lookups that are not recurrent, codes or float32
//	output layer          of MatVecs that are not recurrent, codes or float32
//	workspace             what one sequence needs: for each value of a time step, with the
//	                      states as they stand, 4 bytes an element, filled up to 64 bytes
//	                      (a value that is fused into the next operation, or is a slice
//	                      of another, has no memory of its own); for each vector that
//	                      is multiplied, its elements as float32, filled up to 16 or
//	                      the columns of the matrices, but for exact activations the same
//	                      as 16-bit whole numbers, the tables of partial sums, and a
//	                      float32 for each row of the largest matrix that sums more
//	                      than one group of planes
//
// Not counted are the program itself, and two vectors as long as the longest value,
// of zeros and of ones, which stand in where an operation has no shift or scale, and sum up for a Normalize.
package cpu

import (
	"fmt"

	"bittern/accel/kernels/lut"
	"bittern/plugins/backend"
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

	substitutions []backend.Substitution

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
			if n.matrices[name], err = lut.New(weights[name], n.precision); err == nil && n.matrices[name].Float32() {
				n.substitute(name, weights[name], "a product looks up sums of signs, and the levels are none; each weight is the float32 value of its level")
			}
		case node.Op == stepgraph.Lookup && n.columns[name] == nil:
			if n.columns[name], err = lut.NewColumns(weights[name]); err == nil && n.columns[name].Float32() {
				n.substitute(name, weights[name], "a look-up keeps two or three levels as codes, and there are more or fewer; each weight is the float32 value of its level")
			}
		}
		if err != nil {
			return fmt.Errorf("cpu: weight %q: %w", name, err)
		}
	}
	return nil
}

// substitute notes that a weight is kept as float32, which is nothing new for
// one that was deployed so.
func (n *network) substitute(name string, weight packed.Matrix, reason string) {
	if weight.Bits != packed.FullPrecision {
		n.substitutions = append(n.substitutions, backend.Substitution{Weight: name, From: weight.Format(), To: "float32", Reason: reason})
	}
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
