// Package layers tells recurrent layers from others in a step graph, as the costs of backends do.
package layers

import (
	"slices"

	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// Others are the parts of the energy that layers outside of the recurrent ones have, in the order in
// which they are shown.
var Others = []string{backend.PartEmbedding, backend.PartAttention, backend.PartOutputLayer}

// BeforeStates returns the nodes and inputs that the next value of some state depends on.
func BeforeStates(g stepgraph.Graph) map[string]bool {
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

// Outside returns the nodes that are not of recurrent layers, each with its part. A product is of a
// recurrent layer if its weights are; any other node is if a state depends on it.
func Outside(g stepgraph.Graph) map[string]string {
	outside, before := map[string]string{}, BeforeStates(g)
	for _, n := range g.Nodes {
		recurrent := before[n.Name]
		if n.Op == stepgraph.MatVec || n.Op == stepgraph.Lookup {
			recurrent = n.Recurrent
		}
		switch {
		case recurrent:
		case n.Op == stepgraph.Lookup:
			outside[n.Name] = backend.PartEmbedding
		default:
			outside[n.Name] = backend.PartOutputLayer
		}
	}
	return outside
}
