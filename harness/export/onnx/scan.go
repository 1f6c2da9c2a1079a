package onnx

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// scan compiles one stage that scans a step graph, or runs it once.
type scan struct {
	*compiler
	stage  network.Stage
	graph  stepgraph.Graph
	stream string // empty where the graph is run once

	nodes  map[string]stepgraph.Node
	loops  map[string]*recurrence // of the names of states and nodes that belong to one
	known  map[string]value       // of the graph's names, in the model's graph
	finals map[string]value       // of names that a state takes its next value from: after the last step
}

// recurrence is a part of a step graph that has to be computed step by step: states, and
// the nodes that both depend on them and decide their next values.
type recurrence struct {
	states []stepgraph.State
	nodes  []stepgraph.Node // in the graph's order
}

func (c *compiler) scan(stage network.Stage) error {
	s := &scan{
		compiler: c, stage: stage, graph: stage.Graph, stream: c.network.Along(stage),
		nodes: map[string]stepgraph.Node{}, known: map[string]value{}, finals: map[string]value{},
	}
	for _, n := range s.graph.Nodes {
		s.nodes[n.Name] = n
	}
	s.loops = recurrences(s.graph)
	for i, in := range s.graph.Inputs {
		s.known[in.Name] = c.values[stage.Inputs[i]]
	}
	out, err := s.output()
	if err != nil {
		return err
	}
	c.values[stage.Name] = out
	return nil
}

// output is the value that the stage gives out.
func (s *scan) output() (value, error) {
	if loop := s.loops[s.graph.Output]; loop != nil && s.stage.Last && loop.next(s.graph.Output) {
		if err := s.recur(loop); err != nil {
			return value{}, err
		}
		return s.finals[s.graph.Output], nil
	}
	out, err := s.value(s.graph.Output)
	switch {
	case err != nil || s.stream == "":
		return out, err
	case s.stage.Last && out.stepped:
		return s.last(out), nil
	case !s.stage.Last && !out.stepped:
		return s.expand(out, s.stream), nil
	}
	return out, nil
}

// last is the value of the step that the scan ends with.
func (s *scan) last(v value) value {
	last := value{size: v.size}
	switch {
	case s.stage.Reverse:
		last.name = s.main.op("Gather", v.name+"/last", []string{v.name, s.index(0)}, integer("axis", 0))
	case s.valid(s.stream) == "":
		last.name = s.main.op("Gather", v.name+"/last", []string{v.name, s.index(-1)}, integer("axis", 0))
	default:
		at := s.main.op("Sub", v.name+"/end", []string{s.lengths(s.stream), s.index(1)})
		at = s.main.op("Unsqueeze", v.name+"/at", []string{at, s.list(1)})
		rows := s.main.op("Transpose", v.name+"/rows", []string{v.name}, integers("perm", 1, 0, 2))
		last.name = s.main.op("GatherND", v.name+"/last", []string{rows, at}, integer("batch_dims", 1))
	}
	return last
}

// value is what a name of the graph stands for in the model's graph, which is made
// where it is not there yet.
func (s *scan) value(name string) (value, error) {
	if v, ok := s.known[name]; ok {
		return v, nil
	}
	if loop := s.loops[name]; loop != nil {
		err := s.recur(loop)
		return s.known[name], err
	}
	n := s.nodes[name]
	operands := make([]value, len(n.Inputs))
	for i, in := range n.Inputs {
		var err error
		if operands[i], err = s.value(in); err != nil {
			return value{}, err
		}
	}
	v, err := s.node(place{block: s.main, position: func() string { return s.positions(s.stream, s.stage.Reverse) }}, n, operands)
	s.known[name] = v
	return v, err
}

// next says that a state of the recurrence takes its next value from the name.
func (r *recurrence) next(name string) bool {
	return slices.ContainsFunc(r.states, func(s stepgraph.State) bool { return s.Next == name })
}

// recurrences finds those of a graph, by the names of their states and nodes: the
// strongly connected components, edges being who reads what and the states' next
// values, and single states that only remember.
func recurrences(g stepgraph.Graph) map[string]*recurrence {
	ids, edges := map[string]int64{}, simple.NewDirectedGraph()
	var list []string
	add := func(name string) {
		ids[name] = int64(len(list))
		list = append(list, name)
		edges.AddNode(simple.Node(ids[name]))
	}
	for _, s := range g.States {
		add(s.Name)
	}
	for _, n := range g.Nodes {
		add(n.Name)
	}
	connect := func(from, to string) {
		if id, ok := ids[from]; ok { // inputs are no part of a recurrence
			edges.SetEdge(edges.NewEdge(simple.Node(id), simple.Node(ids[to])))
		}
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			connect(in, n.Name)
		}
	}
	for _, s := range g.States {
		connect(s.Next, s.Name)
	}
	found := map[string]*recurrence{}
	for _, component := range topo.TarjanSCC(edges) {
		r := &recurrence{}
		for _, node := range component {
			found[list[node.ID()]] = r
		}
	}
	for _, s := range g.States {
		found[s.Name].states = append(found[s.Name].states, s)
	}
	for _, n := range g.Nodes {
		if r := found[n.Name]; len(r.states) > 0 {
			r.nodes = append(r.nodes, n)
		} else {
			delete(found, n.Name)
		}
	}
	return found
}

// recur makes a recurrence and all that is read of it.
func (s *scan) recur(r *recurrence) error {
	if cell, ok := s.cell(r); ok {
		return s.operator(r, cell)
	}
	return s.loop(r)
}

// exposed lists the names of a recurrence whose value at each step is read outside.
func (s *scan) exposed(r *recurrence) []string {
	read := map[string]bool{}
	if !s.stage.Last || !r.next(s.graph.Output) {
		read[s.graph.Output] = true
	}
	for _, n := range s.graph.Nodes {
		if s.loops[n.Name] != r {
			for _, in := range n.Inputs {
				read[in] = true
			}
		}
	}
	for _, state := range s.graph.States {
		if s.loops[state.Name] != r {
			read[state.Next] = true
		}
	}
	var names []string
	for _, state := range r.states {
		if read[state.Name] {
			names = append(names, state.Name)
		}
	}
	for _, n := range r.nodes {
		if read[n.Name] {
			names = append(names, n.Name)
		}
	}
	return names
}

// initial is the value of a state before the first step, [sequences, size].
func (s *scan) initial(state stepgraph.State) string {
	own := s.path(state.Name) + "/initial"
	init := s.floats(own, state.Init, 1, state.Size)
	if !s.goesOn() {
		return s.main.op("Expand", own, []string{init, s.shapeOf(own, s.sequences(), s.list(int64(state.Size)))})
	}
	given := s.stateName(state)
	s.main.names.taken[given] = true
	s.main.input(given, float32s, sequencesDim, state.Size)
	fresh := s.once("starts fresh/column", func(name string) string {
		return s.main.op("Unsqueeze", name, []string{s.startsFresh(), s.list(1)})
	})
	return s.main.op("Where", own, []string{fresh, init, given})
}

// final records what a state is after the last step, [sequences, size].
func (s *scan) final(state stepgraph.State, name string) {
	s.finals[state.Next] = value{name: name, size: state.Size}
	if s.goesOn() {
		next := "next/" + s.stateName(state)
		s.main.names.taken[next] = true
		s.main.node("Identity", []string{next}, []string{name})
		s.main.output(next, float32s, sequencesDim, state.Size)
	}
}

// goesOn says whether the stage can go on from an earlier call. A reverse scan cannot.
func (s *scan) goesOn() bool { return s.options.Carried && !s.stage.Reverse }

// path is the name of a value of the stage, and stateName that of a state as the
// model's users know it.
func (s *scan) path(name string) string                { return s.stage.Name + "/" + name }
func (s *scan) stateName(state stepgraph.State) string { return "state/" + s.path(state.Name) }

// loop makes a Scan of a recurrence.
func (s *scan) loop(r *recurrence) error {
	s.recurrences = append(s.recurrences, "Scan")
	b := &block{names: s.main.names}
	inner := map[string]value{} // of the graph's names, in the body
	var initial, scanned []string
	enter := func(wanted string, kind onnxpb.TensorProto_DataType, dims ...any) string {
		name := b.names.fresh(wanted)
		b.input(name, kind, dims...)
		return name
	}
	for _, state := range r.states {
		inner[state.Name] = value{name: enter(s.path(state.Name), float32s, sequencesDim, state.Size), size: state.Size}
		initial = append(initial, s.initial(state))
	}
	// The inputs of a body are its states, and then one step of each sequence.
	read := func(name string) error {
		if _, ok := inner[name]; ok || s.loops[name] == r {
			return nil
		}
		v, err := s.value(name)
		if err != nil {
			return err
		}
		if v.stepped {
			scanned = append(scanned, v.name)
			v = value{name: enter(v.name+"/step", float32s, sequencesDim, v.size), size: v.size}
		}
		inner[name] = v
		return nil
	}
	for _, n := range r.nodes {
		for _, in := range n.Inputs {
			if err := read(in); err != nil {
				return err
			}
		}
	}
	for _, state := range r.states {
		if err := read(state.Next); err != nil {
			return err
		}
	}
	valid := s.valid(s.stream)
	if valid != "" {
		scanned = append(scanned, valid)
		valid = enter(valid+"/step", bools, sequencesDim, 1)
	}
	position := ""
	at := func() string {
		if position == "" {
			positions := s.positions(s.stream, s.stage.Reverse)
			scanned = append(scanned, positions)
			position = enter(positions+"/step", int64s, sequencesDim)
		}
		return position
	}
	for _, n := range r.nodes {
		operands := make([]value, len(n.Inputs))
		for i, in := range n.Inputs {
			operands[i] = inner[in]
		}
		var err error
		if inner[n.Name], err = s.node(place{block: b, position: at}, n, operands); err != nil {
			return err
		}
	}
	if len(scanned) == 0 {
		at() // a Scan needs a sequence to tell how often it runs
	}
	var outer []string
	leave := func(name, wanted string, size int) {
		name = b.op("Identity", wanted+"/out", []string{name})
		b.output(name, float32s, sequencesDim, size)
		outer = append(outer, b.names.fresh(wanted))
	}
	for _, state := range r.states {
		next := inner[state.Next].name
		if valid != "" { // a sequence that has ended keeps its state
			next = b.op("Where", s.path(state.Name)+"/kept", []string{valid, next, inner[state.Name].name})
		}
		leave(next, s.path(state.Name)+"/final", state.Size)
	}
	exposed := s.exposed(r)
	for _, name := range exposed {
		leave(inner[name].name, s.path(name), inner[name].size)
	}
	attributes := []*onnxpb.AttributeProto{
		body("body", &onnxpb.GraphProto{Name: s.main.names.fresh(s.path("step")), Node: b.nodes, Input: b.inputs, Output: b.outputs}),
		integer("num_scan_inputs", int64(len(scanned))),
	}
	if s.stage.Reverse {
		attributes = append(attributes, integers("scan_input_directions", slices.Repeat([]int64{1}, len(scanned))...))
		if len(exposed) > 0 {
			attributes = append(attributes, integers("scan_output_directions", slices.Repeat([]int64{1}, len(exposed))...))
		}
	}
	s.main.node("Scan", outer, append(initial, scanned...), attributes...)
	for i, state := range r.states {
		s.final(state, outer[i])
	}
	for i, name := range exposed {
		s.known[name] = value{name: outer[len(r.states)+i], size: inner[name].size, stepped: true}
	}
	return nil
}

// place is where a node is made: in a graph, of which the time step is known, int64
// [steps, sequences] or in the body of a Scan [sequences].
type place struct {
	*block
	position func() string
}

// node makes a node of the step graph.
func (s *scan) node(p place, n stepgraph.Node, operands []value) (value, error) {
	out := value{size: n.Size}
	names := make([]string, len(operands))
	for i, v := range operands {
		names[i] = v.name
		out.stepped = out.stepped || v.stepped
	}
	wanted := s.path(n.Name)
	switch n.Op {
	case stepgraph.MatVec, stepgraph.Lookup:
		w, err := s.matrix(n.Weight, columns)
		if err != nil {
			return value{}, err
		}
		if n.Op == stepgraph.MatVec {
			out.name = p.op("MatMul", wanted, []string{names[0], w})
		} else {
			out.name = p.op("Gather", wanted, []string{w, names[0]}, integer("axis", 0))
		}
	case stepgraph.Add:
		out.name = p.op("Add", wanted, names)
	case stepgraph.Mul:
		out.name = p.op("Mul", wanted, names)
	case stepgraph.Sigmoid:
		out.name = p.op("Sigmoid", wanted, names)
	case stepgraph.Tanh:
		out.name = p.op("Tanh", wanted, names)
	case stepgraph.ScaleShift:
		out.name = names[0]
		for _, part := range []struct {
			operator string
			table    stepgraph.Table
		}{{"Mul", n.Scale}, {"Add", n.Shift}} {
			if part.table.Rows > 0 {
				row, stepped := s.row(p, wanted, part.table, n.Size)
				out.name = p.op(part.operator, wanted, []string{out.name, row})
				out.stepped = out.stepped || stepped
			}
		}
	case stepgraph.Slice:
		out.name = p.op("Slice", wanted, []string{names[0], s.list(int64(n.Offset)), s.list(int64(n.Offset + n.Size)), s.list(-1)})
	case stepgraph.Concat:
		for i, v := range operands {
			if out.stepped && !v.stepped {
				names[i] = s.expand(v, s.stream).name
			}
		}
		out.name = p.op("Concat", wanted, names, integer("axis", -1))
	case stepgraph.Normalize:
		ones := s.once(fmt.Sprintf("ones/%d", n.Size), func(name string) string {
			return s.floats(name, slices.Repeat([]float32{1}, n.Size), n.Size)
		})
		out.name = p.op("LayerNormalization", wanted, []string{names[0], ones}, integer("axis", -1), number("epsilon", n.Epsilon))
	case stepgraph.Round:
		out.name = s.round(p, wanted, names[0], n.Bits)
	default:
		return value{}, fmt.Errorf("node %q: ONNX has nothing for the operation %q", n.Name, n.Op)
	}
	return out, nil
}

// row is the one of a table for the time step at hand.
func (s *scan) row(p place, wanted string, t stepgraph.Table, size int) (name string, stepped bool) {
	if t.Rows == 1 || s.stream == "" {
		return s.floats(wanted+"/table", t.Row(0, size), size), false
	}
	table := s.floats(wanted+"/table", t.Values, t.Rows, size)
	at := p.op("Min", wanted+"/at", []string{p.position(), s.index(int64(t.Rows - 1))})
	return p.op("Gather", wanted+"/row", []string{table, at}, integer("axis", 0)), true
}

// round is [stepgraph.Rounded].
func (s *scan) round(p place, wanted, x string, bits int) string {
	n := float32(int(1)<<bits - 1)
	x = p.op("Floor", wanted, []string{p.op("Mul", wanted, []string{x, s.scalar(n / 2)})})
	x = p.op("Add", wanted, []string{p.op("Mul", wanted, []string{x, s.scalar(2)}), s.scalar(1)})
	return p.op("Clip", wanted, []string{p.op("Div", wanted, []string{x, s.scalar(n)}), s.scalar(-1), s.scalar(1)})
}
