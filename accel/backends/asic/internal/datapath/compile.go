package datapath

import (
	"fmt"
	"math"
	"slices"

	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Compile turns a network into a program whose activations have at most integerBits
// integer bits. An operation that the datapath lacks is a *backend.ErrUnsupported
// that names it.
func Compile(n network.Network, weights map[string]packed.Matrix, integerBits int) (*Program, error) {
	for _, s := range n.Stages {
		if err := supported(s); err != nil {
			return nil, err
		}
	}
	if err := n.Validate(weights); err != nil {
		return nil, err
	}
	shared := &shared{
		Program:     &Program{},
		integerBits: integerBits,
		weights:     weights,
		others:      map[string]matrix{},
		counted:     map[string]bool{},
		pieces:      map[matrixKey][]piece{},
		functions:   map[functionKey]*functionTable{},
	}
	var names []string
	for _, s := range n.Stages {
		for _, node := range s.Graph.Nodes {
			if node.Recurrent && !slices.Contains(names, node.Weight) {
				names = append(names, node.Weight)
			}
		}
	}
	shared.recurrents, shared.Recurrent, shared.Substitutions = recurrentWeights(names, weights)
	values := n.Values()
	graphs, machines := map[string]*Graph{}, map[string]program.Graph{}
	for _, s := range n.Stages {
		var inputs []input
		for _, name := range s.Inputs {
			from := input{bound: math.Inf(1), format: activation(math.Inf(1), integerBits)}
			if earlier := graphs[name]; earlier != nil {
				earlier.kept = true
				from = input{earlier.bound, earlier.output.format}
			}
			inputs = append(inputs, from)
		}
		g := shared.compile(s.Graph, inputs)
		g.Stream, g.gives = n.Along(s), values[s.Name].Stream
		graphs[s.Name], machines[s.Name] = g, g
		shared.Graphs = append(shared.Graphs, g)
	}
	shared.program = program.New(n, machines)
	return shared.Program, nil
}

// supported returns a *backend.ErrUnsupported where the datapath lacks a stage or
// an operation of its graph.
func supported(s network.Stage) error {
	lacks := func(format string, args ...any) error {
		return &backend.ErrUnsupported{Reason: fmt.Sprintf(format, args...)}
	}
	switch s.Op {
	case network.Scan:
	case network.Softmax:
		return lacks("operation %q of stage %q needs circuits for an exponential and a division; deploy a network without attention", s.Op, s.Name)
	case network.WeightedSum:
		return lacks("operation %q of stage %q needs a circuit that sums vectors over the time steps, each times a weight; deploy a network without attention", s.Op, s.Name)
	default:
		return lacks("operation %q of stage %q", s.Op, s.Name)
	}
	for _, n := range s.Graph.Nodes {
		switch n.Op {
		case stepgraph.MatVec, stepgraph.Lookup, stepgraph.Add, stepgraph.Mul, stepgraph.Sigmoid,
			stepgraph.Tanh, stepgraph.ScaleShift, stepgraph.Slice, stepgraph.Concat, stepgraph.Round:
		case stepgraph.Normalize:
			return lacks("operation %q of node %q needs circuits for a mean over a vector, a square root and a division; deploy a network with another normalization", n.Op, n.Name)
		default:
			return lacks("operation %q of node %q", n.Op, n.Name)
		}
	}
	return nil
}

// shared is what all graphs of a network have in common.
type shared struct {
	*Program
	integerBits int
	weights     map[string]packed.Matrix
	recurrents  map[string][]matrix // recurrent weights by name
	others      map[string]matrix   // all other weights
	counted     map[string]bool     // weights whose storage a Work counts
	pieces      map[matrixKey][]piece
	functions   map[functionKey]*functionTable
}

// input is what a graph is given: how large at most, and in which format.
type input struct {
	bound  float64
	format format
}

// compiler turns a graph into instructions.
type compiler struct {
	*shared
	*Graph
	graph     stepgraph.Graph
	bounds    map[string]float64
	recurrent map[string]bool // nodes that the states depend on
	operands  map[string]operand
	narrowed  map[string]view // values as activations
	done      map[string]int  // index of the last work of each node
}

// compile compiles a graph with inputs in their order; those that are tokens count for
// nothing.
func (s *shared) compile(g stepgraph.Graph, inputs []input) *Graph {
	c := &compiler{
		shared:    s,
		Graph:     &Graph{},
		graph:     g,
		recurrent: recurrentPart(g),
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

// order notes what each work waits for: the first of a node for the node's inputs, the
// others of the node each for the one before.
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

// operand is a value as later operations find it: a view or, where alpha is not
// nil, exact sums yet to be multiplied by the α of each row.
type operand struct {
	view
	alpha []float64
}

// matrixKey names a weight as integers: one that is recurrent may be in another
// width.
type matrixKey struct {
	weight    string
	recurrent bool
	part      int // of the sum that the weight is
}

type functionKey struct {
	op       stepgraph.Op
	bits     int // of a Round
	fraction int // of the input
}

// recurrentPart names the nodes that some state's next value depends on.
func recurrentPart(g stepgraph.Graph) map[string]bool {
	part := map[string]bool{}
	for _, s := range g.States {
		part[s.Next] = true
	}
	for _, n := range slices.Backward(g.Nodes) {
		if part[n.Name] {
			for _, name := range n.Inputs {
				part[name] = true
			}
		}
	}
	return part
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
	}
	c.operands[n.Name] = result
	c.Work = append(c.Work, work)
	if result.alpha != nil && !c.onlyScaled(n.Name) {
		c.operands[n.Name] = operand{view: c.multiplyAlpha(n, work.Recurrent, result)}
	}
}

// format is that of a node's sums: accumulators after the recurrent part, where
// outputs are made, and activations within it.
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

// product is a MatVec or a Lookup: exact sums where the weight is one matrix. Of
// several, each one's are multiplied by its α and added up, as accumulators.
func (c *compiler) product(n stepgraph.Node, work *Work) operand {
	parts := c.matrices(n)
	work.Recurrent = n.Recurrent
	work.Columns, work.Width = parts[0].cols, parts[0].width
	if !c.counted[n.Weight] {
		c.counted[n.Weight] = true
		for _, m := range parts {
			if !m.second {
				work.WeightBits += m.rows * m.cols * int(m.width)
			}
		}
	}
	result := c.exactSums(n, parts[0], 0)
	if len(parts) == 1 {
		return result
	}
	total := c.multiplyAlpha(n, n.Recurrent, result)
	for i, m := range parts[1:] {
		if !m.second {
			further := *work
			further.WeightBits, further.Name = 0, fmt.Sprintf("%s, part %d", n.Name, i+1)
			c.Work = append(c.Work, further)
		}
		part := c.multiplyAlpha(n, n.Recurrent, c.exactSums(n, m, i+1))
		next := c.newValue(n.Size, accumulator)
		c.emit(add{total, part, next})
		c.Work = append(c.Work, Work{Name: fmt.Sprintf("sum of %s, part %d", n.Name, i+1), Op: stepgraph.Add, Recurrent: n.Recurrent, Rows: n.Size, Operands: 2})
		total = next
	}
	return operand{view: total}
}

// exactSums are those of a MatVec or a Lookup with one part of its weight.
func (c *compiler) exactSums(n stepgraph.Node, m matrix, part int) operand {
	if n.Op == stepgraph.Lookup {
		sum := c.newSum(m.rows, m.fraction, m.alpha)
		token := slices.IndexFunc(c.graph.Inputs, func(in stepgraph.Input) bool { return in.Name == n.Inputs[0] })
		c.emit(lookup{m, m.columns(), token, sum.view})
		return sum
	}
	x := c.narrow(n.Inputs[0])
	sum := c.newSum(m.rows, m.fraction+x.format.fraction, m.alpha)
	key := matrixKey{n.Weight, n.Recurrent, part}
	if c.pieces[key] == nil {
		c.pieces[key] = cut(m)
	}
	c.emit(matVec{x, sum.view, m, c.pieces[key], n.Recurrent})
	return sum
}

// onlyScaled reports whether every reader of a sum is a scale-shift, whose table
// then takes α in.
func (c *compiler) onlyScaled(name string) bool {
	if name == c.graph.Output {
		return false
	}
	for _, s := range c.graph.States {
		if s.Next == name {
			return false
		}
	}
	for _, n := range c.graph.Nodes {
		if n.Op != stepgraph.ScaleShift && slices.Contains(n.Inputs, name) {
			return false
		}
	}
	return true
}

// multiplyAlpha brings sums into accumulators by a scale of their own.
func (c *compiler) multiplyAlpha(n stepgraph.Node, recurrent bool, sum operand) view {
	table := newScales(sum.alpha, n.Size, sum.format.fraction)
	result := c.newValue(n.Size, accumulator)
	c.emit(scaleShift{sum.view, true, table.bits == 0, table, newOffsets(nil, n.Size), result})
	if table.bits > 0 { // else the column's sum is the value
		c.Work = append(c.Work, Work{
			Name: "α of " + n.Name, Op: stepgraph.ScaleShift, Recurrent: recurrent, Rows: n.Size, Operands: 1, Alpha: true,
			TableBits: table.bits, RowBits: table.rowBits,
		})
	}
	return result
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
	table := newScales(factors, n.Size, x.format.fraction)
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

// slice is wiring: a view of some elements. Those of a register are copied, lest
// they change when the states move on.
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

// concat is wiring too. Activations of two formats take the one with fewer
// fraction bits.
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
