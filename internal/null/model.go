package null

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"
	"unsafe"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// NewModel returns a model that computes nothing and learns nothing. It has one recurrent matrix
// of the size of an LSTM's, and an output layer of zeros, which makes all classes equally
// probable. It serves every shape that has an input of tokens or features.
func NewModel() model.Model { return &nullModel{} }

type nullModel struct {
	parameters []model.Tensors // those of the plan, and then those beyond the plan, in order of their names
	optimiser  model.Optimiser
	units      int
	shape      network.Shape
	batch      network.Batch
}

const planned = 2 // how many parameters the plan has

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

// read returns the input that the network pretends to read: the first input of the stream that
// has the targets, or the first of any stream if a sequence has one target.
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
	m.optimiser = request.Optimiser
	m.parameters = []model.Tensors{request.Parameters[recurrent], request.Parameters[output]}
	for _, p := range m.parameters {
		clear(p.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(request.Parameters)) {
		if name != recurrent && name != output {
			m.parameters = append(m.parameters, request.Parameters[name])
		}
	}
	return nil
}

func (m *nullModel) score() network.Score {
	return zeroLogits(m.batch, m.shape.Inputs, m.shape.Classes)
}

func (m *nullModel) Step(context.Context, model.Step) (model.StepResult, error) {
	for _, p := range m.parameters[:planned] {
		clear(p.Grad)
	}
	score := m.score()
	return model.StepResult{Loss: score.LossSum / float64(max(score.Count, 1))}, nil
}

// Update skips parameters whose gradient is zero, as Step leaves it: finding that out is faster
// than moving a parameter by 0.
func (m *nullModel) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	square := 0.0
	var moving []model.Tensors
	for _, p := range m.parameters {
		if allZero(p.Grad) && allZero(p.Moment1) {
			continue
		}
		moving = append(moving, p)
		for _, g := range p.Grad {
			square += float64(g) * float64(g)
		}
	}
	norm, scale := math.Sqrt(square), 1.0
	if request.ClipNorm > 0 && norm > request.ClipNorm {
		scale = request.ClipNorm / norm
	}
	for _, p := range moving {
		if m.optimiser == model.SGD {
			for i, g := range p.Grad {
				p.Value[i] -= float32(request.LearningRate * scale * float64(g))
			}
		} else {
			adam(p, request, scale)
		}
	}
	return model.UpdateResult{GradNorm: norm}, nil
}

// allZero reports whether all bits are 0. It compares each byte with the next, which takes no
// longer than reading them: the time of the null model must be that of the harness.
func allZero(values []float32) bool {
	if len(values) == 0 {
		return true
	}
	all := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	return all[0] == 0 && bytes.Equal(all[1:], all[:len(all)-1])
}

// adam is the update of Kingma & Ba, ICLR 2015, algorithm 1, with the settings that they
// recommend.
func adam(p model.Tensors, request model.Update, scale float64) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	correction1 := 1 - math.Pow(beta1, float64(request.Number))
	correction2 := 1 - math.Pow(beta2, float64(request.Number))
	for i, g := range p.Grad {
		g := scale * float64(g)
		first := beta1*float64(p.Moment1[i]) + (1-beta1)*g
		second := beta2*float64(p.Moment2[i]) + (1-beta2)*g*g
		p.Moment1[i], p.Moment2[i] = float32(first), float32(second)
		p.Value[i] -= float32(request.LearningRate * first / correction1 / (math.Sqrt(second/correction2) + epsilon))
	}
}

func (m *nullModel) Evaluate(context.Context, model.Evaluate) (network.Score, error) {
	return m.score(), nil
}

// Export describes a network whose h is the first quarter of recurrent·h, and whose logits are
// output·h.
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
