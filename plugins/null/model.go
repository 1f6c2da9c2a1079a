package null

import (
	"context"
	"math"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// NewModel returns a model that neither computes nor learns: a network with one
// recurrent matrix of the size of an LSTM's and an output layer of zeros, which
// predicts all symbols alike. Its loss is that of such a guess, ln OutputSize.
func NewModel() model.Model { return &nullModel{} }

type nullModel struct {
	grads   [][]float32
	units   int
	task    model.Task
	targets int // of one sequence
}

const (
	recurrent = "recurrent" // [4·units, units], the matrix that is quantized
	output    = "output"    // [OutputSize, units], all zeros
)

func (*nullModel) Describe(context.Context) (plugins.Description, error) {
	d := describe(plugins.KindModel, "answers at once; measures the harness's own cost")
	d.Options = []plugins.Option{{Name: "units", Type: plugins.Int, Default: "512", Min: 1, Max: 1 << 14, Doc: "size of the recurrent layer that the one quantized matrix, 4·units × units, would belong to"}}
	return d, nil
}

func (*nullModel) Plan(_ context.Context, options plugins.Values, task model.Task) (model.Plan, error) {
	units := options.Int("units")
	return model.Plan{Parameters: []model.Parameter{
		{Name: recurrent, Shape: []int{4 * units, units}, Quantize: true},
		{Name: output, Shape: []int{task.OutputSize, units}},
	}}, nil
}

func (m *nullModel) Build(_ context.Context, request model.Build) error {
	m.units, m.task, m.targets = request.Options.Int("units"), request.Task, 1
	if m.task.Kind == model.LanguageModel {
		m.targets = m.task.Length
	}
	m.grads = nil
	for _, p := range request.Parameters {
		clear(p.Value)
		m.grads = append(m.grads, p.Grad)
	}
	return nil
}

func (m *nullModel) loss() float64 { return math.Log(float64(m.task.OutputSize)) }

func (m *nullModel) Step(context.Context, model.Step) (model.StepResult, error) {
	for _, grad := range m.grads {
		clear(grad)
	}
	return model.StepResult{Loss: m.loss()}, nil
}

func (*nullModel) Update(context.Context, model.Update) (model.UpdateResult, error) {
	// Step's gradients are 0, and so is their norm.
	return model.UpdateResult{}, nil
}

func (m *nullModel) Evaluate(_ context.Context, request model.Evaluate) (model.Evaluation, error) {
	sequences := request.Valid
	if sequences == 0 {
		sequences = m.task.Batch
	}
	count := sequences * m.targets
	return model.Evaluation{LossSum: m.loss() * float64(count), Count: count}, nil
}

// Export describes h' = first quarter of (recurrent·h), logits = output·h'.
func (m *nullModel) Export(context.Context) (stepgraph.Graph, error) {
	return stepgraph.Graph{
		Model:  Name,
		Input:  stepgraph.Input{Name: "x", Token: m.task.Kind == model.LanguageModel, Size: m.task.InputSize},
		States: []stepgraph.State{{Name: "h", Size: m.units, Init: make([]float32, m.units), Next: "next"}},
		Nodes: []stepgraph.Node{
			{Name: "gates", Op: stepgraph.MatVec, Inputs: []string{"h"}, Size: 4 * m.units, Weight: recurrent, Recurrent: true},
			{Name: "next", Op: stepgraph.Slice, Inputs: []string{"gates"}, Size: m.units},
			{Name: "logits", Op: stepgraph.MatVec, Inputs: []string{"next"}, Size: m.task.OutputSize, Weight: output},
		},
		Output: "logits",
	}, nil
}
