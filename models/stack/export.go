package stack

import (
	"slices"

	"bittern/models/recurrent"
	"bittern/plugins/stepgraph"
)

// Export returns one time step of the deployed network, as [recurrent.Layer] gives
// those of the layers. Its output is the logits; a reader takes their softmax.
// Weights carry their parameters' names. With a normalization of batches it
// needs running statistics, which Evaluate gathers.
func (s *Session) Export() (stepgraph.Graph, error) {
	if err := s.calibrated(); err != nil {
		return stepgraph.Graph{}, err
	}
	g := stepgraph.Graph{
		Model: s.Name,
		Input: stepgraph.Input{Name: "x", Token: s.tokens(), Size: s.Task.InputSize},
	}
	add := func(n stepgraph.Node) string {
		g.Nodes = append(g.Nodes, n)
		return n.Name
	}
	x := g.Input.Name
	if s.Embedding > 0 {
		x = add(stepgraph.Node{Name: "embedding", Op: stepgraph.Lookup, Inputs: []string{x}, Size: s.Embedding, Weight: embeddingName})
	}
	for i, layer := range s.layers {
		var err error
		if x, err = layer.Export(s.weights(i, s.effective), recurrent.Export{
			Graph: &g, Input: x, Running: s.running[i],
			Name: func(part string) string { return layerName(i, part) },
		}); err != nil {
			return stepgraph.Graph{}, err
		}
	}
	x = add(stepgraph.Node{Name: "W·h", Op: stepgraph.MatVec, Inputs: []string{x}, Size: s.Task.OutputSize, Weight: softmaxName})
	g.Output = add(stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{x}, Size: s.Task.OutputSize,
		Shift: stepgraph.Table{Rows: 1, Values: slices.Clone(s.effective(biasName))}})
	return g, nil
}
