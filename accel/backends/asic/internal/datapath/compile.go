package datapath

import (
	"math"
	"slices"

	"bittern/accel/backends/internal/layers"
	"bittern/plugins/stepgraph"
)

// compiler turns a graph into instructions.
type compiler struct {
	*shared
	*Graph
	graph     stepgraph.Graph
	bounds    map[string]float64
	recurrent map[string]bool // nodes that the states depend on
	operands  map[string]operand
	narrowed  map[string]view // values that are accumulators, rounded to activations
	done      map[string]int  // index of the last work of each node
}

// compile compiles a graph. inputs describe its inputs in their order; for tokens the description
// is not used.
func (s *shared) compile(g stepgraph.Graph, inputs []input) *Graph {
	c := &compiler{
		shared:    s,
		Graph:     &Graph{},
		graph:     g,
		recurrent: layers.BeforeStates(g),
		operands:  map[string]operand{},
		narrowed:  map[string]view{},
		done:      map[string]int{},
	}
	bounds := map[string]float64{}
	for i, in := range g.Inputs {
		bounds[in.Name] = inputs[i].bound
	}
	c.bounds = ranges(g, bounds, s.matrices)
	c.entries(inputs)
	first := map[string]int{} // index of the first work of each node
	for _, n := range g.Nodes {
		first[n.Name] = len(c.Work)
		c.node(n)
		c.done[n.Name] = len(c.Work) - 1
	}
	for i, s := range g.States {
		c.states[i].next = c.operands[s.Next].view
	}
	c.order(first)
	c.output, c.bound = c.operands[g.Output].view, c.bounds[g.Output]
	return c.Graph
}

// order sets what each work waits for: the first work of a node waits for the node's inputs, and
// each further one for the one before it.
func (c *compiler) order(first map[string]int) {
	for _, n := range c.graph.Nodes {
		work := &c.Work[first[n.Name]]
		for _, name := range n.Inputs {
			if at, ok := c.done[name]; ok {
				work.After = append(work.After, at)
			}
			for _, s := range c.graph.States {
				if s.Name == name {
					work.Since = append(work.Since, c.done[s.Next])
				}
			}
		}
		for i := first[n.Name] + 1; i <= c.done[n.Name]; i++ {
			c.Work[i].After = []int{i - 1}
		}
	}
}

// operand is the result of a node as later operations read it: a view of values or, if alpha is
// not nil, of exact sums that are not yet multiplied by the α of each row.
type operand struct {
	view
	alpha []float64
}

// matrixKey identifies a weight as integers. A weight that is used both as recurrent and not may
// have two widths.
type matrixKey struct {
	weight    string
	recurrent bool
	part      int // number of the matrix in the sum of matrices that the weight is
}

type functionKey struct {
	op       stepgraph.Op
	bits     int // of a Round
	fraction int // of the input
}

// matrices returns a node's weights as integers.
func (s *shared) matrices(n stepgraph.Node) []matrix {
	if n.Recurrent {
		return s.recurrents[n.Weight]
	}
	m, ok := s.others[n.Weight]
	if !ok {
		var rounded bool
		m, rounded = twelveBit(s.weights[n.Weight])
		s.others[n.Weight] = m
		s.Substitutions = append(s.Substitutions, inTwelveBits(n.Weight, s.weights[n.Weight], rounded, "what is not recurrent runs on a 12-bit column"))
	}
	return []matrix{m}
}

// entries makes the buffers of the inputs and the states.
func (c *compiler) entries(inputs []input) {
	for i, in := range c.graph.Inputs {
		var entry view
		if !in.Token {
			entry = c.newValue(in.Size, inputs[i].format)
			c.operands[in.Name] = operand{view: entry}
		}
		c.inputs = append(c.inputs, entry)
	}
	for _, s := range c.graph.States {
		register := c.newValue(s.Size, activation(c.bounds[s.Name], c.integerBits))
		init := make([]int32, s.Size)
		for i, v := range s.Init {
			init[i] = register.format.encode(float64(v))
		}
		c.states = append(c.states, state{register: register, init: init})
		c.operands[s.Name] = operand{view: register}
	}
}

func (c *compiler) newValue(size int, f format) view {
	c.values = append(c.values, size)
	return view{buffer: len(c.values) - 1, size: size, stride: size, format: f}
}

func (c *compiler) newSum(size, fraction int, alpha []float64) operand {
	c.sums = append(c.sums, size)
	return operand{view{buffer: len(c.sums) - 1, size: size, stride: size, format: format{fraction: fraction}}, alpha}
}

func (c *compiler) emit(i instruction) { c.instructions = append(c.instructions, i) }

func (c *compiler) node(n stepgraph.Node) {
	work := Work{Name: n.Name, Op: n.Op, Recurrent: c.recurrent[n.Name], Rows: n.Size, Operands: len(n.Inputs)}
	var result operand
	switch n.Op {
	case stepgraph.MatVec, stepgraph.Lookup:
		result = c.product(n, &work)
	case stepgraph.ScaleShift:
		result.view = c.scaleShift(n, &work)
	case stepgraph.Add:
		x, y := c.operands[n.Inputs[0]].view, c.operands[n.Inputs[1]].view
		result.view = c.newValue(n.Size, c.format(n.Name))
		c.emit(add{x, y, result.view})
	case stepgraph.Mul:
		x, y := c.narrow(n.Inputs[0]), c.narrow(n.Inputs[1])
		result.view = c.newValue(n.Size, activation(c.bounds[n.Name], c.integerBits))
		c.emit(multiply{x, y, result.view})
	case stepgraph.Sigmoid, stepgraph.Tanh, stepgraph.Round:
		x := c.narrow(n.Inputs[0])
		result.view = c.newValue(n.Size, activation(c.bounds[n.Name], c.integerBits))
		c.emit(function{c.function(n, x.format, result.format), x, result.view})
	case stepgraph.Slice:
		result.view = c.slice(n)
	case stepgraph.Concat:
		result.view = c.concat(n)
	case stepgraph.Normalize:
		x := c.operands[n.Inputs[0]].view
		result.view = c.newValue(n.Size, accumulator)
		c.emit(normalize{x, result.view, newNormalization(n.Size, n.Epsilon, x.format)})
	}
	c.operands[n.Name] = result
	c.Work = append(c.Work, work)
	if result.alpha != nil && !c.onlyScaled(n.Name) {
		c.operands[n.Name] = operand{view: c.multiplyAlpha(n, work.Recurrent, result)}
	}
}

// format returns the format of a sum or a scale-shift: an activation in the recurrent part, an
// accumulator after it, where outputs are made.
func (c *compiler) format(name string) format {
	if c.recurrent[name] {
		return activation(c.bounds[name], c.integerBits)
	}
	return accumulator
}

// narrow returns a value as an activation, which is what enters a multiplier, a
// table or a register.
func (c *compiler) narrow(name string) view {
	x := c.operands[name].view
	if x.format.bits == ActivationBits {
		return x
	}
	narrowed, ok := c.narrowed[name]
	if !ok {
		narrowed = c.newValue(x.size, activation(c.bounds[name], c.integerBits))
		c.emit(move{x, narrowed})
		c.narrowed[name] = narrowed
	}
	return narrowed
}

func (c *compiler) scaleShift(n stepgraph.Node, work *Work) view {
	x := c.operands[n.Inputs[0]]
	factors := slices.Repeat([]float64{1}, max(1, n.Scale.Rows)*n.Size)
	for i := range factors {
		if n.Scale.Rows > 0 {
			factors[i] = float64(n.Scale.Values[i])
		}
		if x.alpha != nil {
			factors[i] *= x.alpha[i%n.Size]
		}
	}
	table := newScales(factors, n.Size, x.format.fraction, accumulator)
	offsets := newOffsets(n.Shift.Values, n.Size)
	result := c.newValue(n.Size, c.format(n.Name))
	c.emit(scaleShift{x.view, x.alpha != nil, false, table, offsets, result})
	work.TableBits = table.bits + offsets.bits()
	work.RowBits = table.rowBits + offsets.rowBits()
	return result
}

func (c *compiler) function(n stepgraph.Node, input, output format) *functionTable {
	key := functionKey{n.Op, n.Bits, input.fraction}
	if c.functions[key] == nil {
		f := sigmoid
		switch n.Op {
		case stepgraph.Tanh:
			f = math.Tanh
		case stepgraph.Round:
			f = func(x float64) float64 { return stepgraph.Rounded(x, n.Bits) }
		}
		c.functions[key] = newFunctionTable(f, input, output)
	}
	return c.functions[key]
}

// slice is wiring: a view of some elements. Elements of a register are copied, because they
// change when the states take their next values.
func (c *compiler) slice(n stepgraph.Node) view {
	x := c.operands[n.Inputs[0]].view
	x.offset += n.Offset
	x.size = n.Size
	if !slices.ContainsFunc(c.states, func(s state) bool { return s.register.buffer == x.buffer }) {
		return x
	}
	result := c.newValue(n.Size, x.format)
	c.emit(move{x, result})
	return result
}

// concat is wiring too. If the operands differ in format, the result is an accumulator if one is,
// else it has the format with fewer fraction bits.
func (c *compiler) concat(n stepgraph.Node) view {
	x, y := c.operands[n.Inputs[0]].view, c.operands[n.Inputs[1]].view
	f := x.format
	if y.format.bits > f.bits || y.format.bits == f.bits && y.format.fraction < f.fraction {
		f = y.format
	}
	result := c.newValue(n.Size, f)
	first, second := result, result
	first.size = x.size
	second.offset, second.size = x.size, y.size
	c.emit(move{x, first})
	c.emit(move{y, second})
	return result
}
