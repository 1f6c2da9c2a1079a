package stepgraph

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins/packed"
)

// Reference runs a graph in plain Go, every value and sum in float64: the oracle
// that backends are held against. It is slow. It serves one caller at a time.
type Reference struct {
	graph   Graph
	weights map[string][]float64 // decoded, row by row
	values  map[string][]float64 // of the time step at hand
}

// NewReference prepares a graph, which must pass [Graph.Validate].
func NewReference(g Graph, weights map[string]packed.Matrix) (*Reference, error) {
	if err := g.Validate(weights); err != nil {
		return nil, err
	}
	r := &Reference{graph: g, weights: map[string][]float64{}, values: map[string][]float64{}}
	for name, m := range weights {
		r.weights[name] = widen(m.Decode())
	}
	return r, nil
}

// Tokens runs one sequence of tokens from the initial state and returns the
// graph's output, Size values a step.
func (r *Reference) Tokens(tokens []int32) ([]float64, error) {
	if !r.graph.Input.Token {
		return nil, fmt.Errorf("step graph: input %q is dense, not a token", r.graph.Input.Name)
	}
	r.reset()
	var outputs []float64
	for t, token := range tokens {
		if token < 0 || int(token) >= r.graph.Input.Size {
			return nil, fmt.Errorf("step graph: token %d at step %d is outside the vocabulary of %d", token, t, r.graph.Input.Size)
		}
		outputs = append(outputs, r.step(t, int(token))...)
	}
	return outputs, nil
}

// Dense runs one sequence of feature vectors, Input.Size values a step, from the
// initial state and returns the graph's output, Size values a step.
func (r *Reference) Dense(features []float32) ([]float64, error) {
	in := r.graph.Input
	if in.Token {
		return nil, fmt.Errorf("step graph: input %q is a token, not dense", in.Name)
	}
	if len(features)%in.Size != 0 {
		return nil, fmt.Errorf("step graph: %d features are no whole number of steps of %d", len(features), in.Size)
	}
	r.reset()
	var outputs []float64
	for t, x := range slices.Collect(slices.Chunk(features, in.Size)) {
		r.values[in.Name] = widen(x)
		outputs = append(outputs, r.step(t, 0)...)
	}
	return outputs, nil
}

// Values returns every value of the last time step by name: what to compare when
// an output differs.
func (r *Reference) Values() map[string][]float64 { return maps.Clone(r.values) }

func (r *Reference) reset() {
	for _, s := range r.graph.States {
		r.values[s.Name] = widen(s.Init)
	}
}

// step computes every node for time step t, then moves the states on.
func (r *Reference) step(t, token int) []float64 {
	for _, n := range r.graph.Nodes {
		r.values[n.Name] = r.node(n, t, token)
	}
	next := make(map[string][]float64, len(r.graph.States))
	for _, s := range r.graph.States {
		next[s.Name] = r.values[s.Next]
	}
	maps.Copy(r.values, next)
	return r.values[r.graph.Output]
}

func (r *Reference) node(n Node, t, token int) []float64 {
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
		w, columns := r.weights[n.Weight], r.graph.Input.Size
		for i := range y {
			y[i] = w[i*columns+token]
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
			for i, scale := range n.Scale.Row(t, n.Size) {
				y[i] *= float64(scale)
			}
		}
		if n.Shift.Rows > 0 {
			for i, shift := range n.Shift.Row(t, n.Size) {
				y[i] += float64(shift)
			}
		}
	case Slice:
		copy(y, x[n.Offset:])
	case Concat:
		copy(y[copy(y, x):], r.values[n.Inputs[1]])
	case Softmax:
		largest, sum := slices.Max(x), 0.0
		for i := range y {
			y[i] = math.Exp(x[i] - largest)
			sum += y[i]
		}
		for i := range y {
			y[i] /= sum
		}
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
