package stack

import (
	"fmt"
	"slices"

	"bittern/models/recurrent"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// Export returns the deployed network. Its output is the logits; a reader takes
// their softmax. Weights have the names of their parameters. Batch normalization needs
// running statistics, which Evaluate gathers.
//
// If there is a target at each step, the network is one scan that computes logits at every
// step. If there is one target a sequence, the scan ends with a state, from which the logits
// are computed once. With two directions, each layer is two scans.
func (s *Session) Export() (network.Network, error) {
	if err := s.Calibrated(); err != nil {
		return network.Network{}, err
	}
	n := network.Network{Model: s.Name, Inputs: slices.Clone(s.Shape.Inputs)}
	var err error
	if s.Bidirectional {
		err = s.exportDirections(&n)
	} else {
		err = s.exportScan(&n)
	}
	if err != nil {
		return network.Network{}, err
	}
	if s.once() {
		e := &exporter{}
		last := n.Stages[len(n.Stages)-1:]
		if s.Bidirectional {
			last = n.Stages[len(n.Stages)-2:]
		}
		for _, stage := range last {
			e.read(source{stage.Name, false, s.Units})
		}
		e.logits(s, e.all())
		n.Stages = append(n.Stages, network.Stage{Name: "logits", Op: network.Scan, Inputs: e.sources, Graph: e.Graph})
	}
	n.Output = n.Stages[len(n.Stages)-1].Name
	return n, nil
}

// exportScan adds the scan of all layers of a stack with one direction, with the
// logits where they are wanted at every step.
func (s *Session) exportScan(n *network.Network) error {
	e := &exporter{}
	x := e.embedded(s, e.read(source{s.input().Name, s.tokens(), s.input().Size}))
	for _, l := range s.layers {
		var err error
		if x, err = e.layer(s, l, x); err != nil {
			return err
		}
	}
	if !s.once() {
		e.logits(s, x)
	}
	n.Stages = append(n.Stages, network.Stage{Name: "scan", Op: network.Scan, Inputs: e.sources, Graph: e.Graph, Last: s.once()})
	return nil
}

// exportDirections adds two scans for each layer, which read both of the layer
// below, and before them one of the embedding.
func (s *Session) exportDirections(n *network.Network) error {
	below := []source{{s.input().Name, s.tokens(), s.input().Size}}
	if s.Embedding > 0 {
		e := &exporter{}
		e.embedded(s, e.read(source{s.input().Name, true, s.input().Size}))
		n.Stages = append(n.Stages, network.Stage{Name: "embedding", Op: network.Scan, Inputs: e.sources, Graph: e.Graph})
		below = []source{{"embedding", false, s.Embedding}}
	}
	for i := range s.Layers {
		var states []source
		for _, l := range s.layers[2*i : 2*i+2] {
			e := &exporter{}
			for _, b := range below {
				e.read(b)
			}
			if _, err := e.layer(s, l, e.all()); err != nil {
				return err
			}
			n.Stages = append(n.Stages, network.Stage{
				Name: l.scan.layer, Op: network.Scan, Inputs: e.sources, Graph: e.Graph,
				Reverse: l.config.Reverse, Last: i == s.Layers-1,
			})
			states = append(states, source{l.scan.layer, false, s.Units})
		}
		below = states
	}
	return nil
}

// exporter writes the graph of one stage.
type exporter struct {
	stepgraph.Graph
	sources []string // of the stage, in the order of the graph's inputs
}

// add adds a node. The value of the last node that is added is the output of the graph.
func (e *exporter) add(n stepgraph.Node) string {
	e.Nodes = append(e.Nodes, n)
	e.Output = n.Name
	return n.Name
}

// source is the network's input or an earlier stage, whose value a stage reads.
type source struct {
	name  string
	token bool
	size  int
}

// read adds an input that is the value of a source.
func (e *exporter) read(from source) string {
	name := "x"
	if len(e.sources) > 0 {
		name = fmt.Sprintf("x%d", len(e.sources)+1)
	}
	e.sources = append(e.sources, from.name)
	e.Inputs = append(e.Inputs, stepgraph.Input{Name: name, Token: from.token, Size: from.size})
	return name
}

// all returns the graph's input, or both its inputs side by side.
func (e *exporter) all() string {
	if len(e.Inputs) == 1 {
		return e.Inputs[0].Name
	}
	a, b := e.Inputs[0], e.Inputs[1]
	return e.add(stepgraph.Node{Name: "both", Op: stepgraph.Concat, Inputs: []string{a.Name, b.Name}, Size: a.Size + b.Size})
}

// embedded is x as the first layer reads it.
func (e *exporter) embedded(s *Session, x string) string {
	if s.Embedding == 0 {
		return x
	}
	return e.add(stepgraph.Node{Name: "embedding", Op: stepgraph.Lookup, Inputs: []string{x}, Size: s.Embedding, Weight: EmbeddingName})
}

// layer adds a layer's time step.
func (e *exporter) layer(s *Session, l *layer, x string) (string, error) {
	var err error
	e.Output, err = l.Export(l.weights(s.Effective), recurrent.Export{Graph: &e.Graph, Input: x, Running: l.running, Name: l.name})
	return e.Output, err
}

// logits adds the linear layer under the softmax.
func (e *exporter) logits(s *Session, h string) {
	h = e.add(stepgraph.Node{Name: "W·h", Op: stepgraph.MatVec, Inputs: []string{h}, Size: s.Shape.Classes, Weight: SoftmaxName})
	e.add(stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{h}, Size: s.Shape.Classes,
		Shift: stepgraph.Table{Rows: 1, Values: slices.Clone(s.Effective(BiasName))}})
}
