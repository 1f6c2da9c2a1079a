package null

import (
	"context"
	"slices"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// NewModel returns a model that neither computes nor learns: a network with one
// recurrent matrix of the size of an LSTM's and an output layer of zeros, which
// predicts all classes alike. It serves every shape with a token or a feature.
func NewModel() model.Model { return &nullModel{} }

type nullModel struct {
	grads [][]float32
	units int
	shape network.Shape
	batch network.Batch
}

const (
	recurrent = "recurrent" // [4·units, units], the matrix that is quantized
	output    = "output"    // [classes, units], all zeros
)

func (*nullModel) Describe(context.Context) (plugins.Description, error) {
	d := describe(plugins.KindModel, "answers at once; measures the harness's own cost")
	d.Options = []plugins.Option{{Name: "units", Type: plugins.Int, Default: "512", Min: 1, Max: 1 << 14, Doc: "size of the recurrent layer that the one quantized matrix, 4·units × units, would belong to"}}
	return d, nil
}

func (*nullModel) Plan(_ context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	if _, ok := read(shape); !ok {
		return model.Plan{}, plugins.Problemf("the null model serves tasks with tokens or features in the stream that has the targets; choose another task")
	}
	units := options.Int("units")
	return model.Plan{
		Parameters: []model.Parameter{
			{Name: recurrent, Shape: []int{4 * units, units}, Quantize: true},
			{Name: output, Shape: []int{shape.Classes, units}},
		},
		Settings: []model.Setting{{Name: model.SettingUnits, Value: options["units"]}},
	}, nil
}

// read is the input that the network pretends to read: the first of the stream
// that has the targets, or of any where there is one target a sequence.
func read(shape network.Shape) (network.Input, bool) {
	i := slices.IndexFunc(shape.Inputs, func(in network.Input) bool {
		return (in.Role == network.Tokens || in.Role == network.Features) && (shape.Targets == "" || in.Stream == shape.Targets)
	})
	if i < 0 {
		return network.Input{}, false
	}
	return shape.Inputs[i], true
}

func (m *nullModel) Build(_ context.Context, request model.Build) error {
	m.units, m.shape, m.batch = request.Options.Int("units"), request.Shape, request.Batch
	m.grads = nil
	for _, p := range request.Parameters {
		clear(p.Value)
		m.grads = append(m.grads, p.Grad)
	}
	return nil
}

func (m *nullModel) score() network.Score {
	return zeroLogits(m.batch, m.shape.Inputs, m.shape.Classes)
}

func (m *nullModel) Step(context.Context, model.Step) (model.StepResult, error) {
	for _, grad := range m.grads {
		clear(grad)
	}
	score := m.score()
	return model.StepResult{Loss: score.LossSum / float64(max(score.Count, 1))}, nil
}

func (*nullModel) Update(context.Context, model.Update) (model.UpdateResult, error) {
	// Step's gradients are 0, and so is their norm.
	return model.UpdateResult{}, nil
}

func (m *nullModel) Evaluate(context.Context, model.Evaluate) (network.Score, error) {
	return m.score(), nil
}

// Export describes h' = first quarter of (recurrent·h), logits = output·h'.
func (m *nullModel) Export(context.Context) (network.Network, error) {
	in, _ := read(m.shape)
	return network.Network{
		Model:  Name,
		Inputs: m.shape.Inputs,
		Stages: []network.Stage{{
			Name: "logits", Op: network.Scan, Inputs: []string{in.Name}, Last: m.shape.Targets == "",
			Graph: stepgraph.Graph{
				Inputs: []stepgraph.Input{{Name: "x", Token: in.Role == network.Tokens, Size: in.Size}},
				States: []stepgraph.State{{Name: "h", Size: m.units, Init: make([]float32, m.units), Next: "next"}},
				Nodes: []stepgraph.Node{
					{Name: "gates", Op: stepgraph.MatVec, Inputs: []string{"h"}, Size: 4 * m.units, Weight: recurrent, Recurrent: true},
					{Name: "next", Op: stepgraph.Slice, Inputs: []string{"gates"}, Size: m.units},
					{Name: "logits", Op: stepgraph.MatVec, Inputs: []string{"next"}, Size: m.shape.Classes, Weight: output},
				},
				Output: "logits",
			},
		}},
		Output: "logits",
	}, nil
}
