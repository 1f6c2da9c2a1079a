package testplugin

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// bigram predicts a symbol from the one before: logits W[:, x] + b, with W
// [symbols, symbols] quantized. Its buffer "shift" holds a statistic that
// training gathers and that only a frozen evaluation uses: it makes frozen
// scores depend on calibration, as batch normalization would.
type bigram struct {
	build model.Build
	fault fault
	calls float64
}

func (*bigram) Describe(context.Context) (plugins.Description, error) {
	options := append(faults("kill", "exit", "hang", "panic", "nan", "shape", "immense", "overflow"),
		plugins.Option{Name: "pause", Type: plugins.Int, Default: "0", Max: 10000, Doc: "milliseconds a step takes"},
		plugins.Option{Name: "lie", Type: plugins.Bool, Default: "false", Doc: "export another network than the one that is trained"},
		plugins.Option{Name: "refuse", Type: plugins.Bool, Default: "false", Doc: "refuse every task"})
	return description(plugins.KindModel, "bigram", options)
}

func (*bigram) Plan(_ context.Context, options plugins.Values, task model.Task) (model.Plan, error) {
	if options.Bool("refuse") {
		return model.Plan{}, plugins.Problemf("model/bigram refuses every task; set refuse=false")
	}
	plan := model.Plan{
		Parameters: []model.Parameter{
			{Name: "W", Shape: []int{task.OutputSize, task.InputSize}, Quantize: true},
			{Name: "b", Shape: []int{task.OutputSize}},
		},
		Buffers: []model.Buffer{{Name: "shift", Shape: []int{task.OutputSize}}},
	}
	switch options.Text("fault") {
	case "shape":
		plan.Parameters[0].Shape = []int{task.OutputSize}
	case "immense": // than any machine's memory
		plan.Parameters = append(plan.Parameters, model.Parameter{Name: "ballast", Shape: []int{1 << 44}})
	case "overflow": // together 2⁶² elements
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
	return nil
}

func (m *bigram) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	slow(ctx, m.build.Options)
	nonsense := m.fault.strike(request.Number)
	w, b := m.build.Parameters["W"], m.build.Parameters["b"]
	clear(w.Grad)
	clear(b.Grad)
	evaluation := m.forward(m.build.Task.Batch, false, func(x, y int, p []float64) {
		for j := range p {
			delta := p[j]
			if j == y {
				delta--
			}
			delta /= float64(m.build.Task.Batch * m.build.Task.Length)
			w.Grad[j*m.build.Task.InputSize+x] += float32(delta)
			b.Grad[j] += float32(delta)
		}
	})
	result := model.StepResult{Loss: evaluation.LossSum / float64(evaluation.Count)}
	if nonsense {
		result.Loss = math.NaN()
	}
	return result, nil
}

// forward runs the batch and calls each with the probabilities of every
// target.
func (m *bigram) forward(valid int, frozen bool, each func(x, y int, p []float64)) model.Evaluation {
	task := m.build.Task
	inputs, targets := m.build.Inputs.Int32["inputs"], m.build.Inputs.Int32["targets"]
	w, b, shift := m.build.Parameters["W"].Quantized, m.build.Parameters["b"].Value, m.build.Buffers["shift"]
	p := make([]float64, task.OutputSize)
	var e model.Evaluation
	for t := range task.Length {
		for s := range valid {
			x, y := int(inputs[t*task.Batch+s]), int(targets[t*task.Batch+s])
			sum := 0.0
			for j := range p {
				logit := w[j*task.InputSize+x] + b[j]
				if frozen {
					logit += shift[j]
				}
				p[j] = math.Exp(float64(logit))
				sum += p[j]
			}
			for j := range p {
				p[j] /= sum
			}
			e.LossSum -= math.Log(p[y])
			e.Count++
			each(x, y, p)
		}
	}
	return e
}

func (m *bigram) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	correction1 := 1 - math.Pow(beta1, float64(request.Number))
	correction2 := 1 - math.Pow(beta2, float64(request.Number))
	square := 0.0
	for _, name := range []string{"W", "b"} {
		p := m.build.Parameters[name]
		for i, g := range p.Grad {
			square += float64(g) * float64(g)
			p.Moment1[i] = beta1*p.Moment1[i] + (1-beta1)*g
			p.Moment2[i] = beta2*p.Moment2[i] + (1-beta2)*g*g
			step := request.LearningRate * float64(p.Moment1[i]) / correction1 / (math.Sqrt(float64(p.Moment2[i])/correction2) + epsilon)
			p.Value[i] -= float32(step)
		}
	}
	return model.UpdateResult{GradNorm: math.Sqrt(square)}, nil
}

func (m *bigram) Evaluate(_ context.Context, request model.Evaluate) (model.Evaluation, error) {
	valid := request.Valid
	if valid == 0 {
		valid = m.build.Task.Batch
	}
	shift := m.build.Buffers["shift"]
	if request.Statistics == model.Calibrate && request.First {
		clear(shift)
		m.calls = 0
	}
	if request.Statistics == model.Calibrate {
		targets := m.build.Inputs.Int32["targets"]
		mean := make([]float64, len(shift))
		for _, y := range targets {
			mean[y] += 1 / float64(len(targets))
		}
		m.calls++
		for j := range shift {
			shift[j] += float32((0.1*mean[j] - float64(shift[j])) / m.calls)
		}
	}
	return m.forward(valid, request.Statistics == model.Frozen, func(int, int, []float64) {}), nil
}

func (m *bigram) Export(context.Context) (stepgraph.Graph, error) {
	b, shift := m.build.Parameters["b"].Value, m.build.Buffers["shift"]
	bias := make([]float32, len(b))
	for j := range bias {
		bias[j] = b[j] + shift[j]
	}
	if m.build.Options.Bool("lie") {
		bias[0], bias[1] = bias[1]+1, bias[0]-1
	}
	n := m.build.Task.OutputSize
	return stepgraph.Graph{
		Model: "bigram", Input: stepgraph.Input{Name: "x", Token: true, Size: m.build.Task.InputSize}, Output: "logits",
		Nodes: []stepgraph.Node{
			{Name: "row", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: n, Weight: "W", Recurrent: true},
			{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"row"}, Size: n, Shift: stepgraph.Table{Rows: 1, Values: bias}},
		},
	}, nil
}
