package stepgraph

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins/packed"
)

// Reference runs a graph in plain Go, with every value and sum in float64. Backends are
// compared with it. It is slow, and serves one caller at a time.
type Reference struct {
	graph   Graph
	weights map[string][]float64 // decoded, row by row
	values  map[string][]float64 // of the time step at hand
	tokens  map[string]int       // the same of inputs that are tokens

	position int // time steps since Reset
}

// NewReference prepares a graph, which must pass [Graph.Validate].
func NewReference(g Graph, weights map[string]packed.Matrix) (*Reference, error) {
	if err := g.Validate(weights); err != nil {
		return nil, err
	}
	r := &Reference{graph: g, weights: map[string][]float64{}, values: map[string][]float64{}, tokens: map[string]int{}}
	for name, m := range weights {
		r.weights[name] = widen(m.Decode())
	}
	r.Reset()
	return r, nil
}

// Value is the value of an input at a time step: a token, or a vector.
type Value struct {
	Token  int
	Vector []float64
}

// Reset goes back to before the first time step: to the states' initial values and the first
// row of tables.
func (r *Reference) Reset() {
	r.position = 0
	for _, s := range r.graph.States {
		r.values[s.Name] = widen(s.Init)
	}
}

// Step runs one time step on a value for each input, in their order, updates the states, and
// returns the graph's output, which the caller may keep and change.
func (r *Reference) Step(inputs ...Value) ([]float64, error) {
	if len(inputs) != len(r.graph.Inputs) {
		return nil, fmt.Errorf("step graph: %d inputs are given; it takes %d", len(inputs), len(r.graph.Inputs))
	}
	for i, in := range r.graph.Inputs {
		if !in.Token {
			if len(inputs[i].Vector) != in.Size {
				return nil, fmt.Errorf("step graph: input %q is given %d values; it takes %d", in.Name, len(inputs[i].Vector), in.Size)
			}
			r.values[in.Name] = inputs[i].Vector
			continue
		}
		if inputs[i].Vector != nil {
			return nil, fmt.Errorf("step graph: input %q is a token and is given a vector", in.Name)
		}
		if token := inputs[i].Token; token < 0 || token >= in.Size {
			return nil, fmt.Errorf("step graph: token %d at step %d is outside the vocabulary of %d", token, r.position, in.Size)
		}
		r.tokens[in.Name] = inputs[i].Token
	}
	for _, n := range r.graph.Nodes {
		r.values[n.Name] = r.node(n)
	}
	output := slices.Clone(r.values[r.graph.Output])
	next := make(map[string][]float64, len(r.graph.States))
	for _, s := range r.graph.States {
		next[s.Name] = r.values[s.Next]
	}
	maps.Copy(r.values, next)
	r.position++
	return output, nil
}

// Tokens runs one sequence of tokens from the initial state through a graph with
// one input and returns its output, Size values a step.
func (r *Reference) Tokens(tokens []int32) ([]float64, error) {
	r.Reset()
	var outputs []float64
	for _, token := range tokens {
		output, err := r.Step(Value{Token: int(token)})
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, output...)
	}
	return outputs, nil
}

// Dense is the same for feature vectors, Size values a step.
func (r *Reference) Dense(features []float32) ([]float64, error) {
	size := r.graph.Inputs[0].Size
	if len(features)%size != 0 {
		return nil, fmt.Errorf("step graph: %d features are no whole number of steps of %d", len(features), size)
	}
	r.Reset()
	var outputs []float64
	for x := range slices.Chunk(features, size) {
		output, err := r.Step(Value{Vector: widen(x)})
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, output...)
	}
	return outputs, nil
}

// Values returns every value of the last time step by name, for finding where an output
// begins to differ.
func (r *Reference) Values() map[string][]float64 { return maps.Clone(r.values) }

func (r *Reference) node(n Node) []float64 {
	x := r.values[n.Inputs[0]] // absent for a token
	y := make([]float64, n.Size)
	switch n.Op {
	case MatVec:
		w := r.weights[n.Weight]
		for i := range y {
			for j, xj := range x {
				y[i] += w[i*len(x)+j] * xj
			}
		}
	case Lookup:
		in, _ := r.graph.Input(n.Inputs[0])
		for i := range y {
			y[i] = r.weights[n.Weight][i*in.Size+r.tokens[in.Name]]
		}
	case Add:
		for i, z := range r.values[n.Inputs[1]] {
			y[i] = x[i] + z
		}
	case Mul:
		for i, z := range r.values[n.Inputs[1]] {
			y[i] = x[i] * z
		}
	case Sigmoid:
		for i := range y {
			y[i] = 1 / (1 + math.Exp(-x[i]))
		}
	case Tanh:
		for i := range y {
			y[i] = math.Tanh(x[i])
		}
	case ScaleShift:
		copy(y, x)
		if n.Scale.Rows > 0 {
			for i, scale := range n.Scale.Row(r.position, n.Size) {
				y[i] *= float64(scale)
			}
		}
		if n.Shift.Rows > 0 {
			for i, shift := range n.Shift.Row(r.position, n.Size) {
				y[i] += float64(shift)
			}
		}
	case Slice:
		copy(y, x[n.Offset:])
	case Concat:
		copy(y[copy(y, x):], r.values[n.Inputs[1]])
	case Normalize:
		mean, variance := 0.0, 0.0
		for _, v := range x {
			mean += v / float64(n.Size)
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(n.Size)
		}
		for i, v := range x {
			y[i] = (v - mean) / math.Sqrt(variance+n.Epsilon)
		}
	case Round:
		for i, v := range x {
			y[i] = Rounded(v, n.Bits)
		}
	}
	return y
}

func widen(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}
