package conformance

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// checkExport checks that the exported network, run by the reference, computes what the model
// computes with frozen statistics; over several batches if state is carried. Before that it
// changes every parameter, so that a bias of 0 or gates that are equal at the start hide no
// mistake, and quantized weights differ from latent ones.
func checkExport(r *recorder, s *modelSession) {
	s.shake(0.2)
	s.calibrate(r)
	exported, err := s.Export(r.ctx)
	r.must("Export", err)
	reference, err := network.NewReference(exported, s.deployedWeights(r, exported))
	r.must("the exported network and the weights it names", err)
	shape := s.build.Shape
	batches := []network.Batch{randomBatch(shape, 0)}
	if shape.Carried {
		batches = append(batches, withFresh(randomBatch(shape, 1), none), withFresh(randomBatch(shape, 2), func(i int) bool { return i == 1 }))
	}
	for number, b := range batches {
		s.fill(b)
		want := s.evaluate(r, model.Evaluate{Statistics: model.Frozen})
		got, err := reference.Score(b)
		r.must("run the exported network", err)
		if math.Abs(got.LossSum-want.LossSum) > 1e-3*math.Abs(want.LossSum) || got.Count != want.Count || got.Correct != want.Correct {
			r.saw("batch %d: the exported network scores %+v", number, got).want("%+v as Evaluate(Frozen) says", want)
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
		r.saw("no node of the network is marked Recurrent: there is nothing to count in the recurrent memory column").want("the products of recurrent layers to be marked")
	}
}

// deployedWeights packs the parameters that the network names, in full precision.
func (s *modelSession) deployedWeights(r *recorder, exported network.Network) map[string]packed.Matrix {
	weights := make(map[string]packed.Matrix)
	for _, stage := range exported.Stages {
		for _, node := range stage.Graph.Nodes {
			if node.Weight == "" {
				continue
			}
			i := slices.IndexFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
			if i < 0 {
				names := slices.Sorted(maps.Keys(s.build.Parameters))
				r.saw("node %s of stage %s wants the weight %q", node.Name, stage.Name, node.Weight).want("one of the parameters %q", names)
			}
			p := s.plan.Parameters[i]
			if len(p.Shape) != 2 {
				r.saw("node %s of stage %s wants the weight %q of the shape %v", node.Name, stage.Name, node.Weight, p.Shape).want("[outputs, inputs]")
			}
			if node.Recurrent != p.Quantize {
				r.saw("node %s of stage %s is marked Recurrent: %t, but its weight %q Quantize: %t", node.Name, stage.Name, node.Recurrent, p.Name, p.Quantize).want("the same of both")
			}
			matrix, err := packed.FromValues(used(s.build.Parameters[p.Name]), p.Shape[0], p.Shape[1])
			if err != nil {
				r.must(fmt.Sprintf("pack %s", p.Name), err)
			}
			weights[p.Name] = matrix
		}
	}
	return weights
}
