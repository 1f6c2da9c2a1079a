package stepgraph

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins/packed"
)

// Validate returns an error if no backend can run the graph with these weights. It is one
// sentence that names the place: a name that is missing, taken twice or used before it is
// computed, a size that does not fit, a weight of another shape or one that no node names, a
// table of the wrong length, or values that have together more than 2²⁴ elements in one time
// step, not counting tokens: no machine need have room for those.
func (g Graph) Validate(weights map[string]packed.Matrix) error {
	v := validator{graph: g, weights: weights, sizes: map[string]int{}, tokens: map[string]bool{}, used: map[string]bool{}}
	if err := v.entries(); err != nil {
		return fmt.Errorf("step graph: %w", err)
	}
	for _, n := range g.Nodes {
		if err := v.node(n); err != nil {
			return fmt.Errorf("step graph: node %q (%s): %w", n.Name, n.Op, err)
		}
	}
	if err := v.edges(); err != nil {
		return fmt.Errorf("step graph: %w", err)
	}
	return nil
}

type validator struct {
	graph   Graph
	weights map[string]packed.Matrix
	sizes   map[string]int  // of everything defined so far
	tokens  map[string]bool // inputs that are tokens
	used    map[string]bool // weights that a node names
	total   int             // elements of all values so far, tokens apart
}

// mostElements bounds the values of a time step: as many float32 take 64 MiB, for each
// sequence that a machine runs at once.
const mostElements = 1 << 24

// entries defines the inputs and the states.
func (v *validator) entries() error {
	if len(v.graph.Inputs) == 0 {
		return fmt.Errorf("there is no input")
	}
	for _, in := range v.graph.Inputs {
		if in.Size < 1 {
			return fmt.Errorf("input %q has size %d; it must be at least 1", in.Name, in.Size)
		}
		if err := v.define(in.Name, in.Size); err != nil {
			return err
		}
		v.tokens[in.Name] = in.Token
		if in.Token {
			continue // is one number, whatever the vocabulary
		}
		if err := v.room(in.Size); err != nil {
			return fmt.Errorf("input %q: %w", in.Name, err)
		}
	}
	for _, s := range v.graph.States {
		if s.Size < 1 || len(s.Init) != s.Size {
			return fmt.Errorf("state %q of size %d has %d initial values; it must have one for each of at least 1 element", s.Name, s.Size, len(s.Init))
		}
		if i := notFinite(s.Init); i >= 0 {
			return fmt.Errorf("state %q starts with %v at element %d", s.Name, s.Init[i], i)
		}
		if err := v.define(s.Name, s.Size); err != nil {
			return err
		}
		if err := v.room(s.Size); err != nil {
			return fmt.Errorf("state %q: %w", s.Name, err)
		}
	}
	return nil
}

// room counts the elements of a value.
func (v *validator) room(size int) error {
	if size > mostElements-v.total {
		return fmt.Errorf("the values of a time step have more than %d elements", mostElements)
	}
	v.total += size
	return nil
}

func (v *validator) define(name string, size int) error {
	if name == "" {
		return fmt.Errorf("a value has no name; name every input, state and node")
	}
	if _, taken := v.sizes[name]; taken {
		return fmt.Errorf("the name %q is taken twice; inputs, states and nodes share one set of names", name)
	}
	v.sizes[name] = size
	return nil
}

// arity is the number of inputs of every operation there is.
var arity = map[Op]int{
	MatVec: 1, Lookup: 1, Add: 2, Mul: 2, Sigmoid: 1, Tanh: 1, ScaleShift: 1, Slice: 1, Concat: 2, Normalize: 1, Round: 1,
}

func (v *validator) node(n Node) error {
	want, known := arity[n.Op]
	if !known {
		return fmt.Errorf("there is no such operation")
	}
	if len(n.Inputs) != want {
		return fmt.Errorf("has %d inputs; it takes %d", len(n.Inputs), want)
	}
	if n.Size < 1 {
		return fmt.Errorf("has size %d; it must be at least 1", n.Size)
	}
	sizes := make([]int, want)
	for i, name := range n.Inputs {
		size, defined := v.sizes[name]
		if !defined {
			return fmt.Errorf("input %q is not defined before it", name)
		}
		if token := v.tokens[name]; token != (n.Op == Lookup) {
			if token {
				return fmt.Errorf("input %q is a token, which only a lookup takes", name)
			}
			return fmt.Errorf("input %q is not a token, which is what a lookup takes", name)
		}
		sizes[i] = size
	}
	if err := v.operands(n, sizes); err != nil {
		return err
	}
	if err := v.room(n.Size); err != nil {
		return err
	}
	return v.define(n.Name, n.Size)
}

// operands checks what is particular to each operation.
func (v *validator) operands(n Node, sizes []int) error {
	if n.Op == MatVec || n.Op == Lookup {
		if err := v.weight(n, sizes[0]); err != nil {
			return err
		}
	} else if n.Weight != "" {
		return fmt.Errorf("names the weight %q, which it does not take", n.Weight)
	} else if n.Recurrent {
		return fmt.Errorf("is marked recurrent, which is said of weights only")
	}
	if n.Op == ScaleShift {
		if err := n.Scale.validate("scale", n.Size); err != nil {
			return err
		}
		if err := n.Shift.validate("shift", n.Size); err != nil {
			return err
		}
	} else if n.Scale.Rows != 0 || n.Shift.Rows != 0 {
		return fmt.Errorf("has a scale or shift table, which only a scale-shift takes")
	}

	switch n.Op {
	case Add, Mul, Sigmoid, Tanh, ScaleShift, Normalize, Round:
		for i, size := range sizes {
			if size != n.Size {
				return fmt.Errorf("has size %d but its input %q has %d", n.Size, n.Inputs[i], size)
			}
		}
	case Slice:
		if n.Offset < 0 || n.Offset > sizes[0]-n.Size {
			return fmt.Errorf("takes elements %d to %d of %q, which has %d", n.Offset, n.Offset+n.Size, n.Inputs[0], sizes[0])
		}
	case Concat:
		if n.Size != sizes[0]+sizes[1] {
			return fmt.Errorf("has size %d but its inputs have %d and %d", n.Size, sizes[0], sizes[1])
		}
	}
	if n.Offset != 0 && n.Op != Slice {
		return fmt.Errorf("has an offset, which only a slice takes")
	}
	if n.Op == Normalize && !(n.Epsilon > 0 && n.Epsilon < 1) {
		return fmt.Errorf("has the epsilon %v; it must be above 0 and below 1", n.Epsilon)
	}
	if n.Op != Normalize && n.Epsilon != 0 {
		return fmt.Errorf("has an epsilon, which only a normalize takes")
	}
	if n.Op == Round && (n.Bits < 1 || n.Bits > MostBits) {
		return fmt.Errorf("rounds to %d bits; it must be 1 to %d", n.Bits, MostBits)
	}
	if n.Op != Round && n.Bits != 0 {
		return fmt.Errorf("has a number of bits, which only a round takes")
	}
	return nil
}

func (v *validator) weight(n Node, inputs int) error {
	m, given := v.weights[n.Weight]
	if !given {
		return fmt.Errorf("the weight %q is not given", n.Weight)
	}
	if m.Rows != n.Size || m.Cols != inputs {
		return fmt.Errorf("the weight %q is %d×%d; it must be %d×%d", n.Weight, m.Rows, m.Cols, n.Size, inputs)
	}
	if !v.used[n.Weight] {
		if err := m.Validate(); err != nil {
			return fmt.Errorf("the weight %q: %w", n.Weight, err)
		}
		v.used[n.Weight] = true
	}
	return nil
}

func (t Table) validate(what string, size int) error {
	if t.Rows < 0 || t.Rows > math.MaxInt/size || len(t.Values) != t.Rows*size {
		return fmt.Errorf("the %s table has %d values; %d rows of %d are %d", what, len(t.Values), t.Rows, size, t.Rows*size)
	}
	if i := notFinite(t.Values); i >= 0 {
		return fmt.Errorf("the %s table has %v at row %d, element %d", what, t.Values[i], i/size, i%size)
	}
	return nil
}

// edges checks what points forward: states, the output, and weights.
func (v *validator) edges() error {
	nodes := map[string]int{}
	for _, n := range v.graph.Nodes {
		nodes[n.Name] = n.Size
	}
	for _, s := range v.graph.States {
		size, ok := nodes[s.Next]
		if !ok {
			return fmt.Errorf("state %q takes its next value from %q, which is no node", s.Name, s.Next)
		}
		if size != s.Size {
			return fmt.Errorf("state %q has size %d but its next value %q has %d", s.Name, s.Size, s.Next, size)
		}
	}
	if _, ok := nodes[v.graph.Output]; !ok {
		return fmt.Errorf("the output %q is no node", v.graph.Output)
	}
	for _, name := range slices.Sorted(maps.Keys(v.weights)) {
		if !v.used[name] {
			return fmt.Errorf("the weight %q is given but no node names it", name)
		}
	}
	return nil
}

// notFinite is the index of the first value that is NaN or infinite, or −1.
func notFinite(values []float32) int {
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return i
		}
	}
	return -1
}
