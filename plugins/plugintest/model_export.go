package plugintest

import (
	"maps"
	"math"
	"slices"
	"testing"

	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// checkExport sees that the exported network, run by the reference, computes what
// the model does with frozen statistics, over several batches where state is carried.
func checkExport(t *testing.T, s *modelSession) {
	s.calibrate(t)
	exported, err := s.Export(t.Context())
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	reference, err := network.NewReference(exported, s.deployedWeights(t, exported))
	if err != nil {
		t.Fatalf("the exported network and the weights it names: %v", err)
	}
	shape := s.build.Shape
	batches := []network.Batch{randomBatch(shape, 0)}
	if shape.Carried {
		batches = append(batches, withFresh(randomBatch(shape, 1), none), withFresh(randomBatch(shape, 2), func(i int) bool { return i == 1 }))
	}
	for number, b := range batches {
		s.fill(b)
		want := s.evaluate(t, model.Evaluate{Statistics: model.Frozen})
		got, err := reference.Score(b)
		if err != nil {
			t.Fatalf("run the exported network: %v", err)
		}
		if math.Abs(got.LossSum-want.LossSum) > 1e-3*math.Abs(want.LossSum) || got.Count != want.Count || got.Correct != want.Correct {
			t.Errorf("batch %d: the exported network scores %+v, want %+v as Evaluate(Frozen) says", number, got, want)
		}
	}
	recurrent := slices.ContainsFunc(exported.Stages, func(s network.Stage) bool {
		for _, n := range s.Graph.Nodes {
			if n.Recurrent {
				return true
			}
		}
		return false
	})
	if !recurrent {
		t.Errorf("no node of the network is marked Recurrent: there is nothing to count in the recurrent memory column")
	}
}

// deployedWeights packs, in full precision, the parameters that the network names.
func (s *modelSession) deployedWeights(t *testing.T, exported network.Network) map[string]packed.Matrix {
	t.Helper()
	weights := make(map[string]packed.Matrix)
	for _, stage := range exported.Stages {
		for _, node := range stage.Graph.Nodes {
			if node.Weight == "" {
				continue
			}
			i := slices.IndexFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
			if i < 0 {
				names := slices.Sorted(maps.Keys(s.build.Parameters))
				t.Fatalf("node %s of stage %s wants the weight %q, which is none of the parameters %q", node.Name, stage.Name, node.Weight, names)
			}
			p := s.plan.Parameters[i]
			if len(p.Shape) != 2 {
				t.Fatalf("node %s of stage %s wants the weight %q of the shape %v, want [outputs, inputs]", node.Name, stage.Name, node.Weight, p.Shape)
			}
			if node.Recurrent != p.Quantize {
				t.Errorf("node %s of stage %s is marked Recurrent: %t, but its weight %q Quantize: %t", node.Name, stage.Name, node.Recurrent, p.Name, p.Quantize)
			}
			matrix, err := packed.FromValues(s.build.Parameters[p.Name].Value, p.Shape[0], p.Shape[1])
			if err != nil {
				t.Fatalf("pack %s: %v", p.Name, err)
			}
			weights[p.Name] = matrix
		}
	}
	return weights
}
