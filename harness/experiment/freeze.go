package experiment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"bittern/harness/artifact"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins/model"
	"bittern/plugins/packed"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

// frozenNetwork is a trained network ready to be deployed, with its scores as computed by
// the model that trained it.
type frozenNetwork struct {
	network artifact.Network
	// paperStyle is the score with the statistics of each batch and freshly drawn weights;
	// frozen is that with the statistics and the weights that are deployed.
	paperStyle, frozen scored
	draws              []store.FreezeDraw
	calibration        int     // training sequences that the statistics were gathered over
	recurrentBytes     float64 // by the paper's accounting: bits of the recurrent weights alone
}

// freeze scores the best network as the paper does. Then it draws the weights as often as
// the suite asks and keeps the draw that validates best. It returns that draw, packed, and
// its scores. All of that is of float32, whatever the network was trained with.
func (s *session) freeze(ctx context.Context, settings suite.Freeze, bestStep int) (*frozenNetwork, error) {
	var best frozenNetwork
	var err error
	if best.paperStyle, err = s.sampled(ctx, task.Test, model.Float32, forTest, bestStep); err != nil {
		return nil, err
	}
	var first map[string]packed.Matrix
	for i := range settings.Draws {
		weights, err := s.fixWeights(ctx, deploymentDraw(s.spec.Seed, i))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = weights
		} else if maps.EqualFunc(first, weights, packed.Equal) {
			break // the quantizer is deterministic: every draw is the first
		}
		sequences, err := s.calibrate(ctx, settings.CalibrationBatches, model.Float32)
		if err != nil {
			return nil, err
		}
		validation, err := s.frozen(ctx, task.Valid, model.Float32)
		if err != nil {
			return nil, err
		}
		test, err := s.frozen(ctx, task.Test, model.Float32)
		if err != nil {
			return nil, err
		}
		draw := store.FreezeDraw{Draw: i, Validation: validation.metric, Test: test.metric}
		best.draws = append(best.draws, draw)
		if i > 0 && !s.task.Metric().Better(draw.Validation, best.draws[deployedDraw(best.draws)].Validation) {
			continue
		}
		if i > 0 {
			best.draws[deployedDraw(best.draws)].Deployed = false
		}
		best.draws[i].Deployed = true
		best.calibration, best.frozen = sequences, test
		if best.network, err = s.export(ctx, weights); err != nil {
			return nil, err
		}
	}
	s.size(&best)
	return &best, nil
}

// untrained is the network with its starting weights, drawn once. Its statistics are of one
// training batch, so that they differ as those of a trained network do. It has no scores.
func (s *session) untrained(ctx context.Context) (*frozenNetwork, error) {
	weights, err := s.fixWeights(ctx, deploymentDraw(s.spec.Seed, 0))
	if err != nil {
		return nil, err
	}
	n := frozenNetwork{draws: []store.FreezeDraw{{Deployed: true}}}
	if n.calibration, err = s.calibrate(ctx, 1, model.Float32); err != nil {
		return nil, err
	}
	if n.network, err = s.export(ctx, weights); err != nil {
		return nil, err
	}
	s.size(&n)
	return &n, nil
}

// size counts what the recurrent weights of the deployed draw take.
func (s *session) size(n *frozenNetwork) {
	count := 0
	for _, w := range s.tensors.weights {
		n.recurrentBytes += bytesOfBits(n.network.Weights[w.Name])
		count += w.Rows * w.Cols
	}
	if count > 0 {
		n.draws[deployedDraw(n.draws)].BitsPerWeight = 8 * n.recurrentBytes / float64(count)
	}
}

// deployedDraw is the index of the draw that is deployed.
func deployedDraw(draws []store.FreezeDraw) int {
	return slices.IndexFunc(draws, func(d store.FreezeDraw) bool { return d.Deployed })
}

// fixWeights draws the weights once, packs them, and leaves the model with what was
// packed: it then computes with the very weights that are deployed.
func (s *session) fixWeights(ctx context.Context, draw quantizer.Draw) (map[string]packed.Matrix, error) {
	frozen, err := s.quantizer.Freeze(context.WithoutCancel(ctx), draw)
	if err != nil {
		return nil, failure(err)
	}
	weights, err := s.pack(frozen)
	if err != nil {
		return nil, err
	}
	for _, w := range s.tensors.weights {
		weights[w.Name].DecodeTo(w.Quantized)
	}
	return weights, nil
}

// export describes the network with the statistics that stand in the buffers.
func (s *session) export(ctx context.Context, weights map[string]packed.Matrix) (artifact.Network, error) {
	n := artifact.Network{Weights: weights}
	var err error
	if n.Program, err = s.model.Export(context.WithoutCancel(ctx)); err != nil {
		return artifact.Network{}, failure(err)
	}
	if err := s.complete(&n); err != nil {
		return artifact.Network{}, unusable(s.modelProcess, s.spec.Model.Label, "exported a network that cannot be deployed: %v", err)
	}
	return n, nil
}

// bytesOfBits is the paper's accounting: bits of the weights over 8, with no
// padding, no levels and no scales.
func bytesOfBits(m packed.Matrix) float64 {
	return float64(m.Rows) * float64(m.Cols) * float64(m.Bits()) / 8
}

// pack packs the frozen weights into bits. The host has checked that they are the
// experiment's weights in the same order, and that their codes can be packed.
func (s *session) pack(frozen []quantizer.Frozen) (map[string]packed.Matrix, error) {
	weights := make(map[string]packed.Matrix, len(frozen))
	for i, w := range s.tensors.weights {
		m, err := frozen[i].Pack(w.Rows, w.Cols)
		if err != nil {
			return nil, fmt.Errorf("weight %s: %w", w.Name, err)
		}
		weights[w.Name] = m
	}
	return weights, nil
}

// complete adds the full-precision weights that the graphs of the stages use, such as those
// of the output layer, and removes quantized weights that no graph uses.
func (s *session) complete(n *artifact.Network) error {
	named := make(map[string]packed.Matrix)
	for _, stage := range n.Program.Stages {
		for _, node := range stage.Graph.Nodes {
			if _, known := named[node.Weight]; known || node.Op != stepgraph.MatVec && node.Op != stepgraph.Lookup {
				continue
			}
			if m, ok := n.Weights[node.Weight]; ok {
				named[node.Weight] = m
				continue
			}
			values, shape, err := s.tensors.matrix(node.Weight)
			if err == nil {
				named[node.Weight], err = packed.FromValues(values, shape[0], shape[1])
			}
			if err != nil {
				return fmt.Errorf("stage %s, node %s: %w", stage.Name, node.Name, err)
			}
		}
	}
	n.Weights = named
	if err := n.Program.Validate(n.Weights); err != nil {
		return err
	}
	return n.Program.Serves(s.task.Shape())
}

func (t *tensors) matrix(name string) (values []float32, shape []int, err error) {
	for _, p := range t.parameters {
		if p.Name != name {
			continue
		}
		if len(p.Shape) != 2 {
			return nil, nil, fmt.Errorf("the parameter %s has the shape %v and is no matrix", name, p.Shape)
		}
		return p.Value, p.Shape, nil
	}
	return nil, nil, fmt.Errorf("there is no parameter %q", name)
}
