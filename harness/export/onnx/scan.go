package onnx

import (
	"slices"

	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"

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
