package asic

import (
	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/stepgraph"
)

// schedule returns the cycles that a graph takes for a number of time steps, given the cycles of
// each operation. An operation starts as soon as those that it waits for are done and its
// circuit is free. A circuit takes its operations in the order of the program. Circuits that do
// not overlap in the design count as one, so without any overlap the result is the sum.
func (d Design) schedule(work []datapath.Work, cycles []float64, steps int) float64 {
	var free [circuits]float64
	previous, end := make([]float64, len(work)), 0.0
	for range steps {
		current := make([]float64, len(work))
		for i, w := range work {
			circuit := d.circuit(w)
			start := free[circuit]
			for _, k := range w.After {
				start = max(start, current[k])
			}
			for _, k := range w.Since {
				start = max(start, previous[k])
			}
			current[i] = start
			if cycles[i] > 0 { // wiring does not occupy a circuit
				current[i] += cycles[i]
				free[circuit] = current[i]
			}
			end = max(end, current[i])
		}
		previous = current
	}
	return end
}

// The circuits that can work at the same time.
const (
	recurrentColumn = iota
	elementwiseLanes
	otherLayers
	circuits
)

// circuit returns the circuit of an operation. If other layers overlap with the recurrent ones,
// they have lanes of their own.
func (d Design) circuit(w datapath.Work) int {
	switch {
	case !w.Recurrent && d.overlaps(overlapLayers):
		return otherLayers
	case d.overlaps(overlapLanes) && w.Op != stepgraph.MatVec && w.Op != stepgraph.Lookup:
		return elementwiseLanes
	}
	return recurrentColumn
}
