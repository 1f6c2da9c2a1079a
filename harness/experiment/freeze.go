package experiment

import (
	"context"
	"fmt"

	"bittern/harness/artifact"
	"bittern/harness/task"
	"bittern/plugins/model"
	"bittern/plugins/packed"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

// deployed is a trained network as it leaves the harness, and how it scores in
// the model that trained it.
type deployed struct {
	network artifact.Network
	// paperStyle is scored with batch statistics and fresh samples, frozen
	// with the statistics and the one draw that are deployed.
	paperStyle, frozen float64
	recurrentBytes     float64 // by the paper's accounting: bits of the recurrent weights alone
}

// freeze scores the best network as the paper does, takes it apart into what a
// machine needs, and scores that in the model that trained it.
func (s *session) freeze(ctx context.Context, at position) (*deployed, error) {
	var d deployed
	var err error
	if d.paperStyle, err = s.sampled(ctx, task.Test, forTest, at.BestStep); err != nil {
		return nil, err
	}
	if d.network, err = s.network(ctx, drawFor(forDeployment, s.spec.Seed, at.BestStep, 0)); err != nil {
		return nil, err
	}
	for _, w := range s.tensors.weights {
		d.recurrentBytes += bytesOfBits(d.network.Weights[w.Name])
	}
	if d.frozen, err = s.frozen(ctx, task.Test); err != nil {
		return nil, err
	}
	return &d, nil
}

// network draws the weights once, gathers their statistics and exports what a
// machine needs. The model is left with those weights and statistics.
func (s *session) network(ctx context.Context, draw quantizer.Draw) (artifact.Network, error) {
	frozen, err := s.quantizer.Freeze(context.WithoutCancel(ctx), draw)
	if err != nil {
		return artifact.Network{}, failure(err)
	}
	var n artifact.Network
	if n.Weights, err = s.pack(frozen); err != nil {
		return artifact.Network{}, err
	}
	for _, w := range s.tensors.weights {
		m := n.Weights[w.Name]
		copy(w.Quantized, m.Decode())
	}
	if err := s.calibrate(ctx); err != nil {
		return artifact.Network{}, err
	}
	if n.Graph, err = s.model.Export(context.WithoutCancel(ctx)); err != nil {
		return artifact.Network{}, failure(err)
	}
	if err := s.complete(&n); err != nil {
		return artifact.Network{}, unusable(s.modelProcess, s.spec.Model.Label, "exported a network that cannot be deployed: %v", err)
	}
	return n, nil
}

// bytesOfBits is the paper's accounting: bits of the weights over 8, with no
// padding and no levels.
func bytesOfBits(m packed.Matrix) float64 {
	return float64(m.Rows) * float64(m.Cols) * float64(m.Bits) / 8
}

// pack lays out the frozen weights. The host has held them against the experiment's
// own: the same names in the same order, and codes that can be packed.
func (s *session) pack(frozen []quantizer.Frozen) (map[string]packed.Matrix, error) {
	weights := make(map[string]packed.Matrix, len(frozen))
	for i, w := range s.tensors.weights {
		f := frozen[i]
		var m packed.Matrix
		var err error
		if f.Bits == packed.FullPrecision {
			m, err = packed.FromValues(f.Values, w.Rows, w.Cols)
		} else {
			m, err = packed.Pack(f.Codes, w.Rows, w.Cols, f.Bits, f.Levels, f.PerRow)
		}
		if err != nil {
			return nil, fmt.Errorf("weight %s: %w", w.Name, err)
		}
		weights[w.Name] = m
	}
	return weights, nil
}

// complete adds the full-precision weights that the graph names, such as the
// output layer's, and leaves out quantized ones that it does not.
func (s *session) complete(n *artifact.Network) error {
	named := make(map[string]packed.Matrix)
	for _, node := range n.Graph.Nodes {
		if node.Op != stepgraph.MatVec && node.Op != stepgraph.Lookup {
			continue
		}
		if m, ok := n.Weights[node.Weight]; ok {
			named[node.Weight] = m
			continue
		}
		values, shape, err := s.tensors.matrix(node.Weight)
		if err != nil {
			return fmt.Errorf("node %s: %w", node.Name, err)
		}
		if named[node.Weight], err = packed.FromValues(values, shape[0], shape[1]); err != nil {
			return fmt.Errorf("node %s: %w", node.Name, err)
		}
	}
	n.Weights = named
	if err := n.Graph.Validate(n.Weights); err != nil {
		return err
	}
	want := s.task.Shape()
	if token := want.Kind == model.LanguageModel; n.Graph.Input.Token != token || n.Graph.Input.Size != want.InputSize {
		return fmt.Errorf("its input %s (token %v, size %d) is not the task's (token %v, size %d)",
			n.Graph.Input.Name, n.Graph.Input.Token, n.Graph.Input.Size, token, want.InputSize)
	}
	if got := n.Graph.Sizes()[n.Graph.Output]; got != want.OutputSize {
		return fmt.Errorf("its output %s has %d values for %d classes", n.Graph.Output, got, want.OutputSize)
	}
	return nil
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
