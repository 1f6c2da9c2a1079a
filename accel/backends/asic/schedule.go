package asic

import (
	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/stepgraph"
)

// schedule is the number of cycles that a graph takes for so many time steps, where each
// work takes the given cycles. Work starts once what it waits for is done and its
// circuit is free; each circuit takes its work in the order of the program. What does
// not overlap in the design is one circuit, so that without any overlap it is the sum.
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
			if cycles[i] > 0 { // wiring keeps no circuit
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

// circuit is the one that does some work. Layers that are not recurrent have lanes of
// their own where they overlap.
func (d Design) circuit(w datapath.Work) int {
	switch {
	case !w.Recurrent && d.overlaps(overlapLayers):
		return otherLayers
	case d.overlaps(overlapLanes) && w.Op != stepgraph.MatVec && w.Op != stepgraph.Lookup:
		return elementwiseLanes
	}
	return recurrentColumn
}
