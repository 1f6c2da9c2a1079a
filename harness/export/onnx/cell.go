package onnx

import (
	"slices"

	"bittern/plugins/stepgraph"
)

// cell is a recurrence that is an LSTM or a GRU: of gates whose sums are products of the
// input x and of the hidden state with weights, and biases.
//
//	LSTM  c' = f∘c + i∘g,  h' = o∘tanh c'
//	GRU   h' = (1−z)∘n + z∘h
type cell struct {
	operator string // "LSTM" or "GRU"
	hidden   stepgraph.State
	memory   stepgraph.State // c of an LSTM
	x        string          // what the input's products are of
	gates    []gate          // in the order of the ONNX operator
	// resetAfter says of a GRU that r multiplies the product with its bias, n = tanh(x's
	// part + r∘h's part); else the state, before the product.
	resetAfter bool
}

// gate is the sum of one gate.
type gate struct {
	input, hidden           term
	inputShift, hiddenShift []float64
}

// term is gain ∘ (rows of a weight, from the first one on, times a value).
type term struct {
	weight string
	first  int
	source string
	gain   []float64
}

// sum is a value as terms and a shift; its size is that of the shift.
type sum struct {
	terms []term
	shift []float64
}

// cell finds out whether a recurrence is one: by what it computes, whatever its values
// are called.
func (s *scan) cell(r *recurrence) (cell, bool) {
	for _, match := range []func(*recurrence) (cell, bool){s.lstm, s.gru} {
		c, ok := match(r)
		if !ok {
			continue
		}
		exposed := s.exposed(r)
		if len(exposed) == 0 || slices.Equal(exposed, []string{c.hidden.Next}) {
			return c, true
		}
	}
	return cell{}, false
}

func (s *scan) lstm(r *recurrence) (cell, bool) {
	if len(r.states) != 2 {
		return cell{}, false
	}
	for i := range r.states {
		c := cell{operator: "LSTM", hidden: r.states[i], memory: r.states[1-i]}
		output, activated, ok := s.pair(c.hidden.Next, stepgraph.Mul, stepgraph.Sigmoid, stepgraph.Tanh)
		if !ok || activated.Inputs[0] != c.memory.Next {
			continue
		}
		kept, added, ok := s.pair(c.memory.Next, stepgraph.Add, stepgraph.Mul, stepgraph.Mul)
		if ok && !slices.Contains(kept.Inputs, c.memory.Name) {
			kept, added = added, kept
		}
		forget, found := s.other(kept, c.memory.Name, stepgraph.Sigmoid)
		input, candidate, paired := s.pair(added.Name, stepgraph.Mul, stepgraph.Sigmoid, stepgraph.Tanh)
		if !ok || !found || !paired {
			continue
		}
		complete := true
		for _, n := range []stepgraph.Node{input, output, forget, candidate} {
			g, ok := s.gate(&c, r, n.Inputs[0])
			complete = complete && ok
			c.gates = append(c.gates, g)
		}
		if complete {
			return c, true
		}
	}
	return cell{}, false
}

func (s *scan) gru(r *recurrence) (cell, bool) {
	if len(r.states) != 1 {
		return cell{}, false
	}
	c := cell{operator: "GRU", hidden: r.states[0]}
	kept, added, ok := s.pair(c.hidden.Next, stepgraph.Add, stepgraph.Mul, stepgraph.Mul)
	if ok && !slices.Contains(kept.Inputs, c.hidden.Name) {
		kept, added = added, kept
	}
	update, found := s.other(kept, c.hidden.Name, stepgraph.Sigmoid)
	rest, candidate, paired := s.pair(added.Name, stepgraph.Mul, stepgraph.ScaleShift, stepgraph.Tanh)
	if !ok || !found || !paired || !isRest(rest) || rest.Inputs[0] != update.Name {
		return cell{}, false
	}
	z, ok := s.gate(&c, r, update.Inputs[0])
	if !ok {
		return cell{}, false
	}
	reset, n, ok := s.candidate(&c, r, candidate.Inputs[0])
	if !ok {
		return cell{}, false
	}
	rg, ok := s.gate(&c, r, reset.Inputs[0])
	c.gates = []gate{z, rg, n}
	return c, ok
}

// candidate is the sum of a GRU's n, and the node of the gate r.
func (s *scan) candidate(c *cell, r *recurrence, name string) (reset stepgraph.Node, g gate, ok bool) {
	// tanh(q + r∘p), p of the state and q of the input.
	if add, ok := s.nodes[name]; ok && add.Op == stepgraph.Add {
		for i := range add.Inputs {
			reset, product, ok := s.mulWith(add.Inputs[i], stepgraph.Sigmoid)
			if !ok {
				continue
			}
			p, ok1 := s.sum(product)
			q, ok2 := s.sum(add.Inputs[1-i])
			if ok1 && ok2 && len(p.terms) == 1 && len(q.terms) == 1 && p.terms[0].source == c.hidden.Name && s.takes(c, r, q.terms[0]) {
				c.resetAfter = true
				return reset, gate{input: q.terms[0], hidden: p.terms[0], inputShift: q.shift, hiddenShift: p.shift}, true
			}
		}
	}
	// tanh(q + W·(r∘h)).
	all, ok := s.sum(name)
	if !ok || len(all.terms) != 2 {
		return reset, gate{}, false
	}
	for i, t := range all.terms {
		n, ok := s.nodes[t.source]
		if !ok || n.Op != stepgraph.Mul || !slices.Contains(n.Inputs, c.hidden.Name) {
			continue
		}
		reset, found := s.other(n, c.hidden.Name, stepgraph.Sigmoid)
		if input := all.terms[1-i]; found && s.takes(c, r, input) {
			return reset, gate{input: input, hidden: t, inputShift: all.shift, hiddenShift: make([]float64, len(all.shift))}, true
		}
	}
	return reset, gate{}, false
}

// gate is a sum of one product of the input and one of the hidden state.
func (s *scan) gate(c *cell, r *recurrence, name string) (gate, bool) {
	all, ok := s.sum(name)
	if !ok || len(all.terms) != 2 || len(all.shift) != c.hidden.Size {
		return gate{}, false
	}
	hidden := slices.IndexFunc(all.terms, func(t term) bool { return t.source == c.hidden.Name })
	if hidden < 0 || !s.takes(c, r, all.terms[1-hidden]) {
		return gate{}, false
	}
	return gate{input: all.terms[1-hidden], hidden: all.terms[hidden], inputShift: all.shift, hiddenShift: make([]float64, len(all.shift))}, true
}

// takes says whether a term is of the cell's input, which the first term decides.
func (s *scan) takes(c *cell, r *recurrence, t term) bool {
	if s.loops[t.source] == r {
		return false
	}
	if c.x == "" {
		c.x = t.source
	}
	return c.x == t.source
}

// pair returns the two inputs of a node of an operation, of operations first and second
// in either order.
func (s *scan) pair(name string, op, first, second stepgraph.Op) (a, b stepgraph.Node, ok bool) {
	n, found := s.nodes[name]
	if !found || n.Op != op {
		return a, b, false
	}
	a, b = s.nodes[n.Inputs[0]], s.nodes[n.Inputs[1]]
	if a.Op == first && b.Op == second {
		return a, b, true
	}
	return b, a, b.Op == first && a.Op == second
}

// other returns the node of an operation that a node of two inputs takes beside a name.
func (s *scan) other(n stepgraph.Node, name string, op stepgraph.Op) (stepgraph.Node, bool) {
	i := slices.Index(n.Inputs, name)
	if i < 0 || len(n.Inputs) != 2 {
		return stepgraph.Node{}, false
	}
	other, ok := s.nodes[n.Inputs[1-i]]
	return other, ok && other.Op == op
}

// mulWith returns of a multiplication the input that is a node of an operation, and the
// name of the other.
func (s *scan) mulWith(name string, op stepgraph.Op) (with stepgraph.Node, other string, ok bool) {
	n, found := s.nodes[name]
	if !found || n.Op != stepgraph.Mul {
		return with, "", false
	}
	for i, in := range n.Inputs {
		if s.nodes[in].Op == op {
			return s.nodes[in], n.Inputs[1-i], true
		}
	}
	return with, "", false
}

// isRest says that a node is 1 − x.
func isRest(n stepgraph.Node) bool {
	all := func(t stepgraph.Table, want float32) bool {
		return t.Rows == 1 && !slices.ContainsFunc(t.Values, func(v float32) bool { return v != want })
	}
	return n.Op == stepgraph.ScaleShift && all(n.Scale, -1) && all(n.Shift, 1)
}

// sum writes a value as terms and a shift. A value that is no such sum at every step alike
// is none.
func (s *scan) sum(name string) (sum, bool) {
	n, ok := s.nodes[name]
	if !ok {
		return sum{}, false
	}
	switch n.Op {
	case stepgraph.MatVec, stepgraph.Lookup:
		one := term{weight: n.Weight, source: n.Inputs[0], gain: slices.Repeat([]float64{1}, n.Size)}
		return sum{terms: []term{one}, shift: make([]float64, n.Size)}, true
	case stepgraph.Add:
		a, ok1 := s.sum(n.Inputs[0])
		b, ok2 := s.sum(n.Inputs[1])
		if !ok1 || !ok2 {
			return sum{}, false
		}
		for i, v := range b.shift {
			a.shift[i] += v
		}
		return sum{terms: append(a.terms, b.terms...), shift: a.shift}, true
	case stepgraph.Slice:
		x, ok := s.sum(n.Inputs[0])
		if !ok {
			return sum{}, false
		}
		from, to := n.Offset, n.Offset+n.Size
		for i := range x.terms {
			t := &x.terms[i]
			t.first, t.gain = t.first+from, t.gain[from:to]
		}
		return sum{terms: x.terms, shift: x.shift[from:to]}, true
	case stepgraph.ScaleShift:
		x, ok := s.sum(n.Inputs[0])
		if !ok || n.Scale.Rows > 1 || n.Shift.Rows > 1 {
			return sum{}, false
		}
		for i := range n.Size {
			if n.Scale.Rows == 1 {
				gain := float64(n.Scale.Values[i])
				x.shift[i] *= gain
				for k := range x.terms {
					x.terms[k].gain[i] *= gain
				}
			}
			if n.Shift.Rows == 1 {
				x.shift[i] += float64(n.Shift.Values[i])
			}
		}
		return x, true
	}
	return sum{}, false
}
