package cpu

import (
	"slices"

	"bittern/plugins/stepgraph"
)

// compiler turns the nodes of a graph into instructions. Every node has memory of its own
// that is written once a step, so an operation may run later than its place in the graph.
// That is how a node is fused into the only node that uses it.
type compiler struct {
	graph  *graph
	nodes  map[string]stepgraph.Node
	uses   map[string]int
	fused  map[string]bool // computed by the node that uses it
	values map[string]value
	slots  map[string]int // of activations, by the value they are made from

	zeros, ones stepgraph.Table
}

func (n *graph) compile() {
	c := &compiler{
		graph: n,
		nodes: map[string]stepgraph.Node{}, uses: map[string]int{}, fused: map[string]bool{},
		values: map[string]value{}, slots: map[string]int{},
	}
	c.count()
	c.fuse()
	for _, in := range n.Inputs {
		var input value
		if !in.Token {
			input = c.place(in.Name, in.Size)
		}
		n.inputs = append(n.inputs, input)
	}
	for _, s := range n.States {
		c.place(s.Name, s.Size)
		n.size += s.Size
	}
	for _, node := range n.Nodes {
		if !c.fused[node.Name] {
			c.compile(node)
		}
	}
	for _, s := range n.States {
		n.states = append(n.states, state{init: s.Init, now: c.values[s.Name], next: c.values[s.Next]})
	}
	n.output = c.values[n.Output]
}

// count notes how often each value is used, and makes vectors of zeros and of ones that
// are as long as the longest value.
func (c *compiler) count() {
	longest := 0
	for _, node := range c.graph.Nodes {
		c.nodes[node.Name] = node
		longest = max(longest, node.Size)
		for _, name := range node.Inputs {
			c.uses[name]++
		}
	}
	for _, s := range c.graph.States {
		c.uses[s.Next]++
	}
	c.uses[c.graph.Output]++
	c.zeros = stepgraph.Table{Rows: 1, Values: make([]float32, longest)}
	c.ones = stepgraph.Table{Rows: 1, Values: slices.Repeat([]float32{1}, longest)}
}

// fuse finds the nodes that run as one instruction with the only node that uses them: a
// matrix product with its scale and shift, and a multiplication, by a value or by a table,
// with the addition that takes its result. If that multiplication scales a look-up, the
// look-up is part of the instruction too.
func (c *compiler) fuse() {
	for _, node := range c.graph.Nodes {
		switch node.Op {
		case stepgraph.ScaleShift:
			if source := c.nodes[node.Inputs[0]]; source.Op == stepgraph.MatVec && c.uses[source.Name] == 1 {
				c.fused[source.Name] = true
			}
		case stepgraph.Add:
			for _, name := range node.Inputs {
				if !c.isProduct(c.nodes[name]) {
					continue
				}
				c.fused[name] = true
				c.fuseLookup(c.nodes[name])
				break
			}
		}
	}
}

// fuseLookup fuses a look-up into its scale, if nothing else uses the look-up.
func (c *compiler) fuseLookup(scale stepgraph.Node) {
	source := c.nodes[scale.Inputs[0]]
	if scale.Op == stepgraph.ScaleShift && source.Op == stepgraph.Lookup && c.uses[source.Name] == 1 {
		c.fused[source.Name] = true
	}
}

// isProduct says whether a node can be fused into an addition: it multiplies, adds nothing,
// and nothing else uses its value.
func (c *compiler) isProduct(n stepgraph.Node) bool {
	if c.uses[n.Name] != 1 {
		return false
	}
	return n.Op == stepgraph.Mul ||
		n.Op == stepgraph.ScaleShift && n.Scale.Rows > 0 && n.Shift.Rows == 0 && !c.fused[n.Inputs[0]]
}

// place gives a value its memory, which begins at a cache line of its own.
func (c *compiler) place(name string, size int) value {
	const line = 16 // float32 in a cache line
	from := c.graph.memory
	c.graph.memory += (size + line - 1) / line * line
	v := value{from, from + size}
	c.values[name] = v
	return v
}

func (c *compiler) emit(i instruction) { c.graph.program = append(c.graph.program, i) }

// operand is a named value.
func (c *compiler) operand(name string) operand { return operand{value: c.values[name]} }

// table returns the rows of t, or of other if t has none.
func (c *compiler) table(t, other stepgraph.Table, size int) operand {
	if t.Rows == 0 {
		t = other
	}
	return operand{table: t, size: size}
}

func (c *compiler) compile(n stepgraph.Node) {
	if n.Op == stepgraph.Slice && c.view(n) {
		return
	}
	x := c.values[n.Inputs[0]]
	y := c.place(n.Name, n.Size)
	switch n.Op {
	case stepgraph.MatVec:
		c.emit(together{c.product(n, y)})
	case stepgraph.Lookup:
		c.emit(each{c.lookup(n, y)})
	case stepgraph.Add:
		c.emit(each{c.sum(n, y)})
	case stepgraph.Mul:
		c.emit(each{multiplyAdd{y, c.operand(n.Inputs[0]), c.operand(n.Inputs[1]), c.table(c.zeros, c.zeros, n.Size)}})
	case stepgraph.ScaleShift:
		scale, shift := c.table(n.Scale, c.ones, n.Size), c.table(n.Shift, c.zeros, n.Size)
		if source := n.Inputs[0]; c.fused[source] {
			c.emit(together{multiplyScaleShift{c.product(c.nodes[source], y), scale, shift}})
		} else {
			c.emit(each{multiplyAdd{y, scale, c.operand(source), shift}})
		}
	case stepgraph.Sigmoid, stepgraph.Tanh:
		c.apply(apply{n.Op, y, x})
	case stepgraph.Normalize:
		c.emit(each{normalize{y, x, c.table(c.ones, c.ones, n.Size), n.Epsilon}})
	case stepgraph.Round:
		c.emit(each{round{y, x, n.Bits}})
	case stepgraph.Slice:
		c.emit(each{move{y, value{x.from + n.Offset, x.from + n.Offset + n.Size}}})
	case stepgraph.Concat:
		second := c.values[n.Inputs[1]]
		c.emit(each{move{value{y.from, y.from + x.size()}, x}})
		c.emit(each{move{value{y.from + x.size(), y.to}, second}})
	default:
		panic("cpu: operation " + string(n.Op) + " passed validation")
	}
}

// apply emits an activation. The same activation of the value beside, emitted just before, becomes
// part of it: so those of a cell's gates are one. One that takes the other's result stays on its own.
func (c *compiler) apply(a apply) {
	if last := len(c.graph.program) - 1; last >= 0 {
		before, _ := c.graph.program[last].(each)
		b, ok := before.operation.(apply)
		if ok && b.of == a.of && b.x.to == a.x.from && b.y.to == a.y.from && a.x.to <= b.y.from {
			a.x.from, a.y.from = b.x.from, b.y.from
			c.graph.program = c.graph.program[:last]
		}
	}
	c.emit(each{a})
}

// view makes a slice share the memory of its operand, without copying. A slice of a state
// cannot share it: the state changes before the output, or another state, is read.
func (c *compiler) view(n stepgraph.Node) bool {
	source := n.Inputs[0]
	for _, s := range c.graph.States {
		if from := c.values[s.Name]; c.values[source].from >= from.from && c.values[source].to <= from.to {
			return false
		}
	}
	from := c.values[source].from + n.Offset
	c.values[n.Name] = value{from, from + n.Size}
	return true
}

// product returns a matrix times the value that the node names. The value is prepared for
// multiplication once a step, for all matrices that multiply it.
func (c *compiler) product(n stepgraph.Node, y value) multiply {
	name := n.Inputs[0]
	slot, ready := c.slots[name]
	if !ready {
		slot = len(c.graph.vectors)
		c.slots[name] = slot
		c.graph.vectors = append(c.graph.vectors, nil)
		c.emit(each{setActivations{slot, c.values[name]}})
	}
	matrix := c.graph.matrices[n.Weight]
	c.graph.vectors[slot] = append(c.graph.vectors[slot], matrix)
	return multiply{matrix, slot, y}
}

// lookup returns the column of a matrix that belongs to the token that the node names.
func (c *compiler) lookup(n stepgraph.Node, y value) lookup {
	input := slices.IndexFunc(c.graph.Inputs, func(in stepgraph.Input) bool { return in.Name == n.Inputs[0] })
	columns := c.graph.columns[n.Weight]
	c.graph.lookups = max(c.graph.lookups, columns.Workspace())
	return lookup{columns, input, y}
}

// sum returns an addition, together with the multiplication that is fused into it, if any.
func (c *compiler) sum(n stepgraph.Node, y value) interface{ run(s *session) } {
	for i, name := range n.Inputs {
		if !c.fused[name] {
			continue
		}
		product, other := c.nodes[name], c.operand(n.Inputs[1-i])
		if product.Op == stepgraph.Mul {
			return multiplyAdd{y, c.operand(product.Inputs[0]), c.operand(product.Inputs[1]), other}
		}
		scale, source := c.table(product.Scale, c.ones, n.Size), product.Inputs[0]
		if c.fused[source] {
			return lookupScaleAdd{c.lookup(c.nodes[source], y), scale, other}
		}
		return multiplyAdd{y, scale, c.operand(source), other}
	}
	return multiplyAdd{y, c.table(c.ones, c.ones, n.Size), c.operand(n.Inputs[0]), c.operand(n.Inputs[1])}
}
