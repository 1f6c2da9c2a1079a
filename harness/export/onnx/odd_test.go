package onnx_test

import (
	"slices"
	"testing"

	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// odd are programs that no model of ours makes and that a model may: each with lengths, and
// in every direction, with every step's output or the last one's.
func odd(t *testing.T) []sample.Program {
	t.Helper()
	const size, steps = 2, 6
	state := func(name, next string) stepgraph.State {
		return stepgraph.State{Name: name, Size: size, Init: []float32{0.5, -1}, Next: next}
	}
	op := func(name string, op stepgraph.Op, inputs ...string) stepgraph.Node {
		return stepgraph.Node{Name: name, Op: op, Size: size, Inputs: inputs}
	}
	table := stepgraph.Node{Name: "table", Op: stepgraph.ScaleShift, Size: size, Inputs: []string{"x"},
		Shift: stepgraph.Table{Rows: 3, Values: []float32{1, 2, 3, 4, 5, 6}}}
	double := stepgraph.Node{Name: "double", Op: stepgraph.ScaleShift, Size: size, Inputs: []string{"h"},
		Scale: stepgraph.Table{Rows: 1, Values: []float32{0.5, -0.9}}}
	inputs := []stepgraph.Input{{Name: "x", Size: size}}
	graphs := map[string]stepgraph.Graph{
		"no state, a table by position": {Inputs: inputs, Nodes: []stepgraph.Node{table}, Output: "table"},
		"a state that remembers the input": {Inputs: inputs, States: []stepgraph.State{state("h", "y")},
			Nodes: []stepgraph.Node{op("y", stepgraph.Tanh, "x"), op("z", stepgraph.Add, "y", "h")}, Output: "z"},
		"two states of one value": {Inputs: inputs, States: []stepgraph.State{state("h", "y"), state("k", "y")},
			Nodes: []stepgraph.Node{op("a", stepgraph.Mul, "h", "k"), op("y", stepgraph.Add, "a", "x"), op("z", stepgraph.Tanh, "y")}, Output: "z"},
		"a state that ignores the input": {Inputs: inputs, States: []stepgraph.State{state("h", "double")},
			Nodes: []stepgraph.Node{double, op("z", stepgraph.Add, "double", "x")}, Output: "z"},
		"the state before the step is read": {Inputs: inputs, States: []stepgraph.State{state("h", "y")},
			Nodes: []stepgraph.Node{op("y", stepgraph.Add, "x", "h"), op("z", stepgraph.Tanh, "h"), op("w", stepgraph.Mul, "z", "y")}, Output: "w"},
		"a state delays another": {Inputs: inputs, States: []stepgraph.State{state("h", "y"), state("k", "copy")},
			Nodes: []stepgraph.Node{op("y", stepgraph.Add, "x", "h"), op("copy", stepgraph.Tanh, "y"), op("z", stepgraph.Add, "k", "y")}, Output: "z"},
		"a table in the recurrence": {Inputs: inputs, States: []stepgraph.State{state("h", "y")},
			Nodes: []stepgraph.Node{
				{Name: "at", Op: stepgraph.ScaleShift, Size: size, Inputs: []string{"h"}, Scale: stepgraph.Table{Rows: 2, Values: []float32{0.5, 1, -1, 2}}},
				op("s", stepgraph.Add, "x", "at"), op("y", stepgraph.Tanh, "s"),
			}, Output: "y"},
		"only a vector is read": {Inputs: []stepgraph.Input{inputs[0], {Name: "v", Size: size}},
			Nodes: []stepgraph.Node{op("z", stepgraph.Tanh, "v")}, Output: "z"},
		"a vector beside a sequence": {Inputs: []stepgraph.Input{inputs[0], {Name: "v", Size: size}},
			Nodes: []stepgraph.Node{
				{Name: "both", Op: stepgraph.Concat, Size: 2 * size, Inputs: []string{"v", "x"}},
				{Name: "z", Op: stepgraph.Slice, Size: size, Offset: 1, Inputs: []string{"both"}},
			}, Output: "z"},
	}
	var programs []sample.Program
	for name, g := range graphs {
		for _, reverse := range []bool{false, true} {
			for _, last := range []bool{false, true} {
				for _, carried := range []bool{false, true} {
					p := sample.Program{Name: name, Steps: map[string]int{"s": steps}, Carried: carried, Weights: map[string]packed.Matrix{}}
					if reverse {
						p.Name += ", reverse"
					}
					if last {
						p.Name += ", last"
					}
					if carried {
						p.Name += ", carried"
					}
					p.Network = oddNetwork(g, reverse, last)
					if err := p.Network.Validate(p.Weights); err != nil {
						t.Fatalf("%s: %v", p.Name, err)
					}
					programs = append(programs, p)
				}
			}
		}
	}
	return programs
}

// oddNetwork scans a graph over features; a second input is a vector of its own stage.
func oddNetwork(g stepgraph.Graph, reverse, last bool) network.Network {
	n := network.Network{
		Model: "odd",
		Inputs: []network.Input{
			{Name: "features", Role: network.Features, Stream: "s", Size: 2},
			{Name: "long", Role: network.Lengths, Stream: "s", Size: 1},
		},
		Output: "scan",
	}
	scan := network.Stage{Name: "scan", Op: network.Scan, Inputs: []string{"features"}, Graph: g, Reverse: reverse, Last: last}
	if len(g.Inputs) == 2 {
		n.Stages = append(n.Stages, network.Stage{Name: "vector", Op: network.Scan, Inputs: []string{"features"}, Last: true, Graph: stepgraph.Graph{
			Inputs: slices.Clone(g.Inputs[:1]), Output: "v",
			Nodes: []stepgraph.Node{{Name: "v", Op: stepgraph.Sigmoid, Size: 2, Inputs: []string{"x"}}},
		}})
		scan.Inputs = append(scan.Inputs, "vector")
	}
	n.Stages = append(n.Stages, scan)
	return n
}
