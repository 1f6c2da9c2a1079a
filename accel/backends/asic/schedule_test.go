package asic

import (
	"testing"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/stepgraph"
)

// Two products, of which the second needs the last step's result, a gate on the lanes for
// each, and a layer on top:
//
//	0 W·x 4    2 gate of 0 and 1, 3    3 layer of 2, 5
//	1 U·h 6, after 2 of the step before
func TestSchedule(t *testing.T) {
	t.Parallel()
	work := []datapath.Work{
		{Op: stepgraph.MatVec, Recurrent: true},
		{Op: stepgraph.MatVec, Recurrent: true, Since: []int{2}},
		{Op: stepgraph.Sigmoid, Recurrent: true, After: []int{0, 1}},
		{Op: stepgraph.MatVec, After: []int{2}},
	}
	cycles := []float64{4, 6, 3, 5}
	for _, c := range []struct {
		name    string
		overlap []string
		steps   int
		want    float64
	}{
		{"no steps", nil, 0, 0},
		{"nothing overlaps", nil, 10, 10 * (4 + 6 + 3 + 5)},
		{"one step has nothing to overlap with", []string{overlapLanes, overlapLayers}, 1, 4 + 6 + 3 + 5},
		// W·x of the next step waits for the layer, which has the same column.
		{"lanes", []string{overlapLanes}, 10, 10 * (4 + 6 + 3 + 5)},
		// The layer of a step is done while the next step works.
		{"layers", []string{overlapLayers}, 10, 10*(4+6+3) + 5},
		// So is W·x of the next step while the gate works: U·h waits for the gate.
		{"lanes and layers", []string{overlapLanes, overlapLayers}, 10, 4 + 10*(6+3) + 9*1 + 5},
	} {
		if got := (Design{Overlap: c.overlap}).schedule(work, cycles, c.steps); got != c.want {
			t.Errorf("%s: %v cycles, want %v", c.name, got, c.want)
		}
	}
}
