package experiment

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins/network"
)

// A backend is timed on the first steps of a batch, which must be a batch of its own:
// no length is beyond its end, and candidates and states stay those of the sequences.
func TestCutShort(t *testing.T) {
	t.Parallel()
	shape := network.Shape{
		Inputs: []network.Input{
			{Name: "text", Role: network.Tokens, Stream: "text", Size: 9},
			{Name: "lengths", Role: network.Lengths, Stream: "text", Size: 1},
			{Name: "pixels", Role: network.Features, Stream: "image", Size: 2},
			{Name: "candidates", Role: network.Candidates, Size: 2},
		},
		Steps: map[string]int{"text": 3, "image": 2}, Sequences: 2, Classes: 2, Carried: true,
	}
	whole := shape.Allocate()
	copy(whole.Int32["text"], []int32{1, 2, 3, 4, 5, 6})
	copy(whole.Int32["lengths"], []int32{1, 3})
	copy(whole.Float32["pixels"], []float32{1, 2, 3, 4, 5, 6, 7, 8})
	copy(whole.Int32["candidates"], []int32{1, 0, 1, 1})
	copy(whole.Fresh, []int32{1, 0})
	copy(whole.Targets, []int32{0, 1})
	short := shape
	short.Steps = map[string]int{"text": 2, "image": 1}
	cut := short.Allocate()
	cutShort(cut, whole, short)
	for _, diff := range []string{
		cmp.Diff(map[string][]int32{"text": {1, 2, 3, 4}, "lengths": {1, 2}, "candidates": {1, 0, 1, 1}}, cut.Int32),
		cmp.Diff(map[string][]float32{"pixels": {1, 2, 3, 4}}, cut.Float32),
		cmp.Diff([]int32{1, 0}, cut.Fresh), cmp.Diff([]int32{0, 1}, cut.Targets),
	} {
		if diff != "" {
			t.Errorf("the cut batch differs (-want +got):\n%s", diff)
		}
	}
}
