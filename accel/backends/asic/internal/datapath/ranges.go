package datapath

import (
	"math"
	"slices"

	"bittern/plugins/stepgraph"
)

// patience is how many rounds the bound of a state may grow before the state counts as unbounded,
// such as a cell that is added to itself.
const patience = 4

// ranges takes bounds on the sizes of the inputs and adds one for every other value of the
// graph, by name; +Inf means that there is none. The bounds of states hold by induction: they hold
// for the initial values, and if they hold before a step they hold after it.
func ranges(g stepgraph.Graph, bounds map[string]float64, matrices func(stepgraph.Node) []matrix) map[string]float64 {
	for _, s := range g.States {
		bounds[s.Name] = largest(s.Init)
	}
	weights := map[string][2]float64{}
	for _, n := range g.Nodes {
		if n.Weight != "" {
			weight, row := largestOf(matrices(n))
			weights[n.Name] = [2]float64{weight, row}
		}
	}
	for round := 0; ; round++ {
		for _, n := range g.Nodes {
			bounds[n.Name] = bound(n, bounds, weights[n.Name])
		}
		grew := false
		for _, s := range g.States {
			if bounds[s.Next] <= bounds[s.Name] {
				continue
			}
			grew = true
			if bounds[s.Name] = bounds[s.Next]; round >= patience {
				bounds[s.Name] = math.Inf(1)
			}
		}
		if !grew {
			return bounds
		}
	}
}

// bound returns the bound of a node, given the bounds of its inputs, and of its weights the largest
// size and the largest sum of a row's sizes.
func bound(n stepgraph.Node, bounds map[string]float64, weights [2]float64) float64 {
	x := bounds[n.Inputs[0]]
	switch n.Op {
	case stepgraph.MatVec:
		return product(weights[1], x)
	case stepgraph.Lookup:
		return weights[0]
	case stepgraph.Add:
		return x + bounds[n.Inputs[1]]
	case stepgraph.Mul:
		return product(x, bounds[n.Inputs[1]])
	case stepgraph.ScaleShift:
		if n.Scale.Rows > 0 {
			x = product(x, largest(n.Scale.Values))
		}
		return x + largest(n.Shift.Values)
	case stepgraph.Slice:
		return x
	case stepgraph.Concat:
		return max(x, bounds[n.Inputs[1]])
	case stepgraph.Round:
		if n.Bits == 1 {
			return math.Nextafter(1, 2) // takes an integer bit, in which both levels are exact
		}
		return 1
	case stepgraph.Normalize:
		return math.Sqrt(float64(n.Size)) // the squares of the elements add up to at most their number
	default: // sigmoid and tanh
		return 1
	}
}

// product multiplies bounds. 0 times anything is 0, also if the other has no bound.
func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0
	}
	return x * y
}

// largest is the largest size among values, 0 if there are none.
func largest(values []float32) float64 {
	if len(values) == 0 {
		return 0
	}
	return float64(max(slices.Max(values), -slices.Min(values)))
}
