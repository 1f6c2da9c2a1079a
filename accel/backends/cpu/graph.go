// Package cpu is the backend "cpu": the processor that this program runs on computes the
// packed network, and the time it takes is measured.
//
// # Weights
//
// Package lut lays out the weights, plane by plane. The weights of a MatVec are planes of
// signs if their levels are sums of signs, as those of binary, ternary and multi-bit weights
// and of whole numbers of up to 8 bits are; otherwise they are codes of up to 4 bits. The
// weights of a Lookup are bits if they have up to three levels, otherwise codes. Wider
// codes are decoded to float32, which the Cost lists as a Substitution. Weights deployed in
// full precision are float32 in any case. Scales of rows are kept beside the codes.
//
// # Memory
//
// Memory is in bytes, as laid out here and with padding, over all stages of the network. A
// weight counts once for all MatVecs that use it, and once for all Lookups that do.
//
//	recurrent codes       the recurrent weights that are kept as signs or codes. A MatVec pads
//	                      rows to a multiple of 64 and columns to the chunks that package
//	                      lut has for the precision and the instruction set; 3-bit codes
//	                      take 3.2 bits. A Lookup keeps one bit a row for each level above
//	                      the lowest, and pads the rows of every column to a multiple of 64;
//	                      or it keeps codes, padded to 16 words of 32 bits
//	recurrent float32     the recurrent weights that are kept as float32, 4 bytes each. A
//	                      MatVec pads rows to a vector, of 8 with AVX2 and 16 with AVX-512;
//	                      a Lookup has no padding
//	levels                4 bytes for each value that codes stand for. For signs, these are
//	                      one weight for each group of planes that are summed together, and
//	                      the centre if it is not 0; for a Lookup, the levels. If rows have
//	                      scales, each value is there once a row; otherwise once, or 16
//	                      times for a Lookup. For codes, these are 16 levels and the scales
//	                      of the rows
//	normalisation tables  4 bytes for each scale and shift of the graphs, for every time step
//	                      that has its own, and for the bias of the output layer
//	state                 4 bytes for the initial value of each element of a state
//	embedding             the weights of Lookups that are not recurrent, codes or float32
//	output layer          the weights of MatVecs that are not recurrent, codes or float32
//	workspace             what one sequence needs:
//	                      - for each value of a time step of each graph, the current states
//	                        included, 4 bytes an element, padded to 64 bytes. A value that is
//	                        fused into the next operation, or is a slice of another value,
//	                        has no memory of its own;
//	                      - for each vector that is multiplied, its elements as float32,
//	                        padded to 16 or to the columns of the matrices; unless
//	                        activations are exact, also its elements as 16-bit whole
//	                        numbers, the tables of partial sums, and a float32 for each row
//	                        of the largest matrix that sums more than one group of planes;
//	                      - for look-ups of codes or of several planes, one or two float32
//	                        for each row of the largest column;
//	                      - for the outputs of scans that a later stage reads, of softmaxes
//	                        over steps and of weighted sums, 4 bytes an element; for a
//	                        sequence, at each step of its stream
//
// Not counted are the program itself and two vectors for each graph, one of zeros and one of
// ones, as long as its longest value: they take the place of a missing shift or scale, and
// serve to sum for a Normalize.
//
// # Values between stages
//
// Values between stages are float32; so are a softmax over steps and a weighted sum. Each graph
// prepares the vectors that it multiplies by itself, at every step.
package cpu

import (
	"fmt"

	"bittern/accel/backends/internal/program"
	"bittern/accel/kernels/lut"
	"bittern/plugins/backend"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// weights are the weights of all graphs of a network by name, laid out for the operations
// that use them.
type weights struct {
	packed    map[string]packed.Matrix
	precision lut.Precision

	matrices map[string]*lut.Matrix
	columns  map[string]*lut.Columns

	substitutions []backend.Substitution
}

// newWeights returns the weights of a network; layOut lays them out later. Their values stay
// exact; precision says how products treat activations.
func newWeights(packed map[string]packed.Matrix, precision lut.Precision) *weights {
	return &weights{packed: packed, precision: precision, matrices: map[string]*lut.Matrix{}, columns: map[string]*lut.Columns{}}
}

// graph is a compiled step graph, whose nodes have become instructions. Running does not
// change it: any number of goroutines may run it, each on a machine of its own.
type graph struct {
	stepgraph.Graph
	*weights

	program []instruction
	vectors [][]*lut.Matrix // for each vector, the matrices that multiply it
	memory  int             // float32 of all values of a time step
	lookups int             // float32 that look-ups work in
	inputs  []value         // in their order; empty for a token
	states  []state
	output  value
	size    int // of all states together
}

// value is where a vector lies in the memory of a session.
type value struct{ from, to int }

func (v value) size() int { return v.to - v.from }

// state is a recurrent edge.
type state struct {
	init      []float32
	now, next value
}

// newGraph compiles a step graph, which must pass [stepgraph.Graph.Validate], and lays out
// those of its weights that no earlier graph uses.
func (w *weights) newGraph(g stepgraph.Graph) (*graph, error) {
	if err := w.layOut(g); err != nil {
		return nil, err
	}
	n := &graph{Graph: g, weights: w}
	n.compile()
	return n, nil
}

// layOut lays out every weight of a graph for the operations that use it.
func (w *weights) layOut(g stepgraph.Graph) (err error) {
	for _, node := range g.Nodes {
		name := node.Weight
		switch {
		case node.Op == stepgraph.MatVec && w.matrices[name] == nil:
			if w.matrices[name], err = lut.New(w.packed[name], w.precision); err == nil && w.matrices[name].Float32() {
				w.substitute(name)
			}
		case node.Op == stepgraph.Lookup && w.columns[name] == nil:
			if w.columns[name], err = lut.NewColumns(w.packed[name]); err == nil && w.columns[name].Float32() {
				w.substitute(name)
			}
		}
		if err != nil {
			return fmt.Errorf("cpu: weight %q: %w", name, err)
		}
	}
	return nil
}

// substitute notes that a weight is kept as float32, unless it was deployed as float32.
func (w *weights) substitute(name string) {
	if weight := w.packed[name]; len(weight.Planes) > 0 {
		w.substitutions = append(w.substitutions, backend.Substitution{
			Weight: name, From: weight.Format(), To: "float32",
			Reason: "codes of at most 4 bits, or of 8 where levels are evenly spaced, are computed with as they are; each weight is the float32 value that it stands for",
		})
	}
}

// machine runs several sequences side by side, each in a session of its own.
type machine struct {
	graph    *graph
	sessions []*session
	products []lut.Product // of the instruction that is running
}

// NewMachine makes a machine for the given number of sequences.
func (n *graph) NewMachine(sequences int) program.Machine {
	m := &machine{graph: n, products: make([]lut.Product, sequences)}
	for range sequences {
		m.sessions = append(m.sessions, n.newSession())
	}
	return m
}

// Step runs each instruction on all sequences before the next instruction, so that each
// matrix is read once for all of them.
func (m *machine) Step(sequences int) error {
	sessions := m.sessions[:sequences]
	for _, instruction := range m.graph.program {
		instruction.run(m, sessions)
	}
	for _, s := range sessions {
		s.advance()
	}
	return nil
}

func (m *machine) Reset(sequence int) { m.sessions[sequence].reset() }

// SetToken sets a token below the input's size.
func (m *machine) SetToken(input, sequence int, token int32) {
	m.sessions[sequence].tokens[input] = token
}

// SetVector sets a vector of the input's size.
func (m *machine) SetVector(input, sequence int, x []float32) {
	s := m.sessions[sequence]
	copy(s.at(s.graph.inputs[input]), x)
}

func (m *machine) Output(sequence int) []float32 {
	s := m.sessions[sequence]
	return s.at(s.graph.output)
}

func (m *machine) Save(sequence int) program.State { return m.sessions[sequence].save() }

func (m *machine) Restore(sequence int, saved program.State) { m.sessions[sequence].restore(saved) }

// session is the state of one sequence in a graph.
type session struct {
	graph       *graph
	memory      []float32
	activations []*lut.Activations
	workspace   []float32 // of look-ups
	step        int
	tokens      []int32 // by input
}

// newSession makes a session before its first time step.
func (n *graph) newSession() *session {
	s := &session{graph: n, memory: make([]float32, n.memory), workspace: make([]float32, n.lookups), tokens: make([]int32, len(n.inputs))}
	for _, matrices := range n.vectors {
		s.activations = append(s.activations, lut.NewActivations(matrices...))
	}
	s.reset()
	return s
}

func (s *session) reset() {
	s.step = 0
	for _, state := range s.graph.states {
		copy(s.at(state.now), state.init)
	}
}

// advance ends a time step.
func (s *session) advance() {
	for _, state := range s.graph.states {
		copy(s.at(state.now), s.at(state.next))
	}
	s.step++
}

func (s *session) save() program.State {
	saved := program.State{Position: s.step, Values: make([]float32, 0, s.graph.size)}
	for _, state := range s.graph.states {
		saved.Values = append(saved.Values, s.at(state.now)...)
	}
	return saved
}

func (s *session) restore(saved program.State) {
	s.step = saved.Position
	values := saved.Values
	for _, state := range s.graph.states {
		values = values[copy(s.at(state.now), values):]
	}
}

func (s *session) at(v value) []float32 { return s.memory[v.from:v.to:v.to] }

// bytes is the memory of a session.
func (s *session) bytes() int {
	bytes := 4 * (len(s.memory) + len(s.workspace))
	for _, a := range s.activations {
		bytes += a.Bytes()
	}
	return bytes
}
