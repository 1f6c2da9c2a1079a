package datapath

import (
	"fmt"
	"math"
	"slices"

	"bittern/accel/backends/internal/program"
	"bittern/accel/kernels/matmul"
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
		Program:     &Program{Root: rootOf(n), operations: map[string]func() program.Operation{}},
		integerBits: integerBits,
		weights:     weights,
		others:      map[string]matrix{},
		counted:     map[string]bool{},
		packed:      map[matrixKey]*matmul.Integers{},
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
				from = earlier.value(integerBits)
			}
			inputs = append(inputs, from)
		}
		var g *Graph
		if s.Op == network.Scan {
			g = shared.compile(s.Graph, inputs)
			machines[s.Name] = g
		} else {
			g = shared.attention(s, values[s.Name].Size, inputs)
			shared.operations[s.Name] = g.attention.operation
		}
		g.Stream, g.gives = n.Along(s), values[s.Name].Stream
		graphs[s.Name] = g
		shared.Graphs = append(shared.Graphs, g)
	}
	shared.program = program.New(n, machines, shared.operations)
	return shared.Program, nil
}

// supported returns a *backend.ErrUnsupported where the datapath lacks a stage or
// an operation of its graph.
func supported(s network.Stage) error {
	lacks := func(format string, args ...any) error {
		return &backend.ErrUnsupported{Reason: fmt.Sprintf(format, args...)}
	}
	switch s.Op {
	case network.Scan, network.Softmax, network.WeightedSum:
	default:
		return lacks("operation %q of stage %q", s.Op, s.Name)
	}
	for _, n := range s.Graph.Nodes {
		switch n.Op {
		case stepgraph.MatVec, stepgraph.Lookup, stepgraph.Add, stepgraph.Mul, stepgraph.Sigmoid,
			stepgraph.Tanh, stepgraph.ScaleShift, stepgraph.Slice, stepgraph.Concat, stepgraph.Round:
		case stepgraph.Normalize:
			if n.Size > mostNormalized {
				return lacks("operation %q of node %q is over %d values; the sums of its circuits hold at most %d", n.Op, n.Name, n.Size, mostNormalized)
			}
		default:
			return lacks("operation %q of node %q", n.Op, n.Name)
		}
	}
	return nil
}

// rootOf names the first operation of the network that needs the root unit; it is empty if none
// does.
func rootOf(n network.Network) string {
	for _, s := range n.Stages {
		if s.Op == network.Softmax {
			return fmt.Sprintf("operation %q of stage %q", s.Op, s.Name)
		}
		for _, node := range s.Graph.Nodes {
			if node.Op == stepgraph.Normalize {
				return fmt.Sprintf("operation %q of node %q", node.Op, node.Name)
			}
		}
	}
	return ""
}

// shared is what all graphs of a network have in common.
type shared struct {
	*Program
	integerBits int
	weights     map[string]packed.Matrix
	recurrents  map[string][]matrix // recurrent weights by name
	others      map[string]matrix   // all other weights
	counted     map[string]bool     // weights whose storage some Work counts already
	packed      map[matrixKey]*matmul.Integers
	functions   map[functionKey]*functionTable
}

// input describes an input of a graph: a bound on its size, and its format.
type input struct {
	bound   float64
	format  format
	factors bool // it is a softmax: a weighted sum multiplies by its factors as they are
}

// value describes the value of the stage as an input of later ones. All but weighted sums read
// the factors of a softmax as activations.
func (g *Graph) value(integerBits int) input {
	if g.attention != nil && g.attention.op == network.Softmax {
		return input{g.bound, activation(g.bound, integerBits), true}
	}
	return input{g.bound, g.output.format, false}
}
