package testplugin

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// bigram predicts a symbol from the one before: logits W[:, x] + b, where W [symbols, symbols]
// is quantized. Training gathers a statistic in the buffer "shift", and only a frozen evaluation
// uses it; so frozen scores depend on calibration, as with batch normalization.
//
// If state is carried, half of the row of the step before is added to the logits. Training keeps
// that row in the buffer "carried".
type bigram struct {
	build model.Build
	fault fault
	calls float64

	evaluated []float32 // the rows that evaluations carry; training has the buffer "carried"
}

// echo is the factor of the row of the step before.
const echo = 0.5

func (*bigram) Describe(context.Context) (plugins.Description, error) {
	options := append(faults("kill", "exit", "hang", "panic", "nan", "shape", "immense", "overflow"),
		plugins.Option{Name: "pause", Type: plugins.Int, Default: "0", Max: 10000, Doc: "milliseconds a step takes"},
		plugins.Option{Name: "while", Type: plugins.String, Doc: "a file; steps pause only while it exists; empty = always"},
		plugins.Option{Name: "lie", Type: plugins.Bool, Default: "false", Doc: "export another network than the one that is trained"},
		plugins.Option{Name: "misfit", Type: plugins.Bool, Default: "false", Doc: "export a network for another task"},
		plugins.Option{Name: "refuse", Type: plugins.Bool, Default: "false", Doc: "refuse every task"})
	return description(plugins.KindModel, "bigram", options)
}

func (*bigram) Plan(_ context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	if options.Bool("refuse") {
		return model.Plan{}, plugins.Problemf("model/bigram refuses every task; set refuse=false")
	}
	if len(shape.Inputs) != 1 || shape.Inputs[0].Role != network.Tokens || shape.Targets != shape.Inputs[0].Stream {
		return model.Plan{}, plugins.Problemf("model/bigram serves tasks of one input of tokens, with a target at each of its steps")
	}
	symbols := shape.Inputs[0].Size
	plan := model.Plan{
		Parameters: []model.Parameter{
			{Name: "W", Shape: []int{shape.Classes, symbols}, Quantize: true},
			{Name: "b", Shape: []int{shape.Classes}},
		},
		Buffers:  []model.Buffer{{Name: "shift", Shape: []int{shape.Classes}, Statistic: true}},
		Settings: []model.Setting{{Name: model.SettingCell, Value: "bigram"}, {Name: model.SettingNormalization, Value: "none"}},
	}
	if shape.Carried {
		plan.Buffers = append(plan.Buffers, model.Buffer{Name: "carried", Shape: []int{shape.Sequences, shape.Classes}})
	}
	switch options.Text("fault") {
	case "shape":
		plan.Parameters[0].Shape = []int{shape.Classes}
	case "immense": // larger than any machine's memory
		plan.Parameters = append(plan.Parameters, model.Parameter{Name: "ballast", Shape: []int{1 << 44}})
	case "overflow": // 2⁶² elements together
		for i := range 1 << 16 {
			plan.Parameters = append(plan.Parameters, model.Parameter{Name: fmt.Sprint("ballast ", i), Shape: []int{1 << 46}})
		}
	}
	return plan, nil
}

func (m *bigram) Build(_ context.Context, request model.Build) error {
	m.build, m.fault = request, newFault(request.Options)
	for i := range request.Parameters["W"].Value {
		request.Parameters["W"].Value[i] = 0.1 * float32(math.Sin(float64(i)+float64(request.Seed)))
	}
	m.evaluated = make([]float32, request.Shape.Sequences*request.Shape.Classes)
	return nil
}

func (m *bigram) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	slow(ctx, m.build.Options)
	nonsense := m.fault.strike(request.Number)
	w, b := m.build.Parameters["W"], m.build.Parameters["b"]
	clear(w.Grad)
	clear(b.Grad)
	targets := 0
	for _, y := range m.build.Batch.Targets {
		if y >= 0 {
			targets++
		}
	}
	symbols := m.symbols()
	score := m.forward(m.build.Buffers["carried"], false, func(x, before, y int, p []float64) {
		for j := range p {
			delta := p[j]
			if j == y {
				delta--
			}
			delta /= float64(targets)
			w.Grad[j*symbols+x] += float32(delta)
			if before >= 0 {
				w.Grad[j*symbols+before] += float32(echo * delta)
			}
			b.Grad[j] += float32(delta)
		}
	})
	result := model.StepResult{Loss: score.LossSum / float64(score.Count)}
	if nonsense {
		result.Loss = math.NaN()
	}
	return result, nil
}

func (m *bigram) symbols() int { return m.build.Shape.Inputs[0].Size }

// forward runs the batch and calls each with the probabilities at every target. before is the
// symbol of the step before in the batch, or −1. If state is carried, carried has the rows that
// sequences go on from, and afterwards those that they end with.
func (m *bigram) forward(carried []float32, frozen bool, each func(x, before, y int, p []float64)) network.Score {
	shape, batch, symbols := m.build.Shape, m.build.Batch, m.symbols()
	in := shape.Inputs[0]
	w, b, shift := m.build.Parameters["W"].Quantized, m.build.Parameters["b"].Value, m.build.Buffers["shift"]
	logits, p := make([]float32, shape.Classes), make([]float64, shape.Classes)
	var score network.Score
	for s := range shape.Sequences {
		last := make([]float32, shape.Classes)
		if shape.Carried && !batch.Starts(s) {
			copy(last, carried[s*shape.Classes:])
		}
		before := -1
		for t := range shape.Steps[in.Stream] {
			x, y := int(batch.Int32[in.Name][t*shape.Sequences+s]), batch.Targets[t*shape.Sequences+s]
			for j := range logits {
				row := w[j*symbols+x]
				logits[j] = row + b[j]
				if shape.Carried {
					logits[j] += echo * last[j]
					last[j] = row
				}
				if frozen {
					logits[j] += shift[j]
				}
			}
			one := network.Score{}
			one.Target(logits, y, nil)
			score.Add(one)
			if y >= 0 {
				softmax(p, logits)
				each(x, before, int(y), p)
			}
			if shape.Carried {
				before = x
			}
		}
		if shape.Carried {
			copy(carried[s*shape.Classes:], last)
		}
	}
	return score
}

func softmax(p []float64, logits []float32) {
	sum := 0.0
	for j, v := range logits {
		p[j] = math.Exp(float64(v))
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
}

func (m *bigram) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	correction1 := 1 - math.Pow(beta1, float64(request.Number))
	correction2 := 1 - math.Pow(beta2, float64(request.Number))
	names := slices.Sorted(maps.Keys(m.build.Parameters)) // W, b, and the trained states
	square := 0.0
	for _, name := range names {
		for _, g := range m.build.Parameters[name].Grad {
			square += float64(g) * float64(g)
		}
	}
	norm, scale := math.Sqrt(square), float32(1)
	if request.ClipNorm > 0 && norm > request.ClipNorm {
		scale = float32(request.ClipNorm / norm)
	}
	for _, name := range names {
		p := m.build.Parameters[name]
		for i, g := range p.Grad {
			g *= scale
			if m.build.Optimiser == model.SGD {
				p.Value[i] -= float32(request.LearningRate) * g
				continue
			}
			p.Moment1[i] = beta1*p.Moment1[i] + (1-beta1)*g
			p.Moment2[i] = beta2*p.Moment2[i] + (1-beta2)*g*g
			step := request.LearningRate * float64(p.Moment1[i]) / correction1 / (math.Sqrt(float64(p.Moment2[i])/correction2) + epsilon)
			p.Value[i] -= float32(step)
		}
	}
	return model.UpdateResult{GradNorm: norm}, nil
}

func (m *bigram) Evaluate(_ context.Context, request model.Evaluate) (network.Score, error) {
	shift := m.build.Buffers["shift"]
	if request.Statistics == model.Calibrate && request.First {
		clear(shift)
		m.calls = 0
	}
	if request.Statistics == model.Calibrate {
		mean, counted := make([]float64, len(shift)), 0.0
		for _, y := range m.build.Batch.Targets {
			if y >= 0 {
				mean[y]++
				counted++
			}
		}
		m.calls++
		for j := range shift {
			shift[j] += float32((0.1*mean[j]/max(1, counted) - float64(shift[j])) / m.calls)
		}
	}
	return m.forward(m.evaluated, request.Statistics == model.Frozen, func(int, int, int, []float64) {}), nil
}

func (m *bigram) Export(context.Context) (network.Network, error) {
	b, shift := m.build.Parameters["b"].Value, m.build.Buffers["shift"]
	bias := make([]float32, len(b))
	for j := range bias {
		bias[j] = b[j] + shift[j]
	}
	if m.build.Options.Bool("lie") {
		bias[0], bias[1] = bias[1]+1, bias[0]-1
	}
	n, in := m.build.Shape.Classes, m.build.Shape.Inputs[0]
	row := stepgraph.Node{Name: "row", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: n, Weight: "W", Recurrent: true}
	logits := stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"row"}, Size: n, Shift: stepgraph.Table{Rows: 1, Values: bias}}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: in.Size}}, Output: "logits",
		Nodes: []stepgraph.Node{row, logits},
	}
	if m.build.Shape.Carried {
		share := make([]float32, n)
		for j := range share {
			share[j] = echo
		}
		g.States = []stepgraph.State{{Name: "last", Size: n, Init: make([]float32, n), Next: "row"}}
		logits.Inputs = []string{"both"}
		g.Nodes = []stepgraph.Node{
			row,
			{Name: "echo", Op: stepgraph.ScaleShift, Inputs: []string{"last"}, Size: n, Scale: stepgraph.Table{Rows: 1, Values: share}},
			{Name: "both", Op: stepgraph.Add, Inputs: []string{"row", "echo"}, Size: n},
			logits,
		}
	}
	program := network.Network{
		Model: "bigram", Inputs: m.build.Shape.Inputs, Output: "scan",
		Stages: []network.Stage{{Name: "scan", Op: network.Scan, Inputs: []string{in.Name}, Graph: g}},
	}
	program.Stages[0].Last = m.build.Options.Bool("misfit")
	return program, nil
}
