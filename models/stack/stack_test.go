package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

func newPlugin() model.Model {
	return New(Model{Name: "lstm", Version: "1.0.0", Summary: "an LSTM", Kind: recurrent.LSTM})
}

func newGRU() model.Model {
	return New(Model{Name: "gru", Version: "1.0.0", Summary: "a GRU", Kind: recurrent.GRU})
}

// rig is a built model with the tensors a harness would keep in its arena.
type rig struct {
	t       testing.TB
	model   *plugin
	plan    model.Plan
	request model.Build
}

func build(t testing.TB, options plugins.Values, task model.Task, threads int) *rig {
	t.Helper()
	return buildOf(t, newPlugin, options, task, threads)
}

func buildOf(t testing.TB, create func() model.Model, options plugins.Values, task model.Task, threads int) *rig {
	t.Helper()
	ctx := context.Background()
	r := &rig{t: t, model: create().(*plugin)}
	resolved, err := plugins.Resolve("model", mustDescribe(t, r.model).Options, options)
	if err != nil {
		t.Fatal(err)
	}
	if r.plan, err = r.model.Plan(ctx, resolved, task); err != nil {
		t.Fatal(err)
	}
	r.request = model.Build{
		Options: resolved, Task: task, Seed: 11, Threads: threads, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{},
		Inputs: model.Inputs{Int32: map[string][]int32{}, Float32: map[string][]float32{}},
	}
	for _, p := range r.plan.Parameters {
		n := volume(p.Shape)
		tensors := model.Tensors{Value: nans(n), Grad: nans(n), Moment1: make([]float32, n), Moment2: make([]float32, n)}
		if p.Quantize {
			tensors.Quantized = nans(n)
		}
		r.request.Parameters[p.Name] = tensors
	}
	for _, b := range r.plan.Buffers {
		r.request.Buffers[b.Name] = nans(volume(b.Shape))
	}
	if task.Kind == model.LanguageModel {
		r.request.Inputs.Int32["inputs"] = make([]int32, task.Length*task.Batch)
		r.request.Inputs.Int32["targets"] = make([]int32, task.Length*task.Batch)
	} else {
		r.request.Inputs.Float32["inputs"] = make([]float32, task.Length*task.Batch*task.InputSize)
		r.request.Inputs.Int32["targets"] = make([]int32, task.Batch)
	}
	if err := r.model.Build(ctx, r.request); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.model.session.Close(); err != nil {
			t.Error(err)
		}
	})
	r.quantize()
	return r
}

func mustDescribe(t testing.TB, m model.Model) plugins.Description {
	d, err := m.Describe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func volume(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

func nans(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.NaN())
	}
	return out
}

// quantize writes ternary weights ±α, of the size the paper's have.
func (r *rig) quantize() {
	for _, p := range r.plan.Parameters {
		if !p.Quantize {
			continue
		}
		alpha := float32(math.Sqrt(6/float64(p.Shape[1]+p.Shape[0])) / 2)
		t := r.request.Parameters[p.Name]
		for i, v := range t.Value {
			t.Quantized[i] = 0
			if v > alpha/3 {
				t.Quantized[i] = alpha
			} else if v < -alpha/3 {
				t.Quantized[i] = -alpha
			}
		}
	}
}

// randomise moves every parameter off its start, so that none has a gradient
// of nothing.
func (r *rig) randomise() {
	random := rand.New(rand.NewPCG(1, 9))
	for _, p := range r.plan.Parameters {
		for i := range r.request.Parameters[p.Name].Value {
			r.request.Parameters[p.Name].Value[i] += float32(random.NormFloat64()) / 4
		}
	}
	r.quantize()
}

// fill draws a batch. Targets follow from inputs, so that they can be learned.
func (r *rig) fill(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	task, in := r.request.Task, r.request.Inputs
	if task.Kind == model.LanguageModel {
		for i := range in.Int32["inputs"] {
			in.Int32["inputs"][i] = int32(random.IntN(task.InputSize))
			in.Int32["targets"][i] = (in.Int32["inputs"][i] + 1) % int32(task.OutputSize)
		}
		return
	}
	for i := range in.Float32["inputs"] {
		in.Float32["inputs"][i] = float32(random.NormFloat64())
	}
	last := in.Float32["inputs"][(task.Length-1)*task.Batch*task.InputSize:]
	for i := range in.Int32["targets"] {
		in.Int32["targets"][i] = 0
		if last[i*task.InputSize] > 0 {
			in.Int32["targets"][i] = 1
		}
	}
}

func (r *rig) step(number uint64) model.StepResult {
	r.t.Helper()
	result, err := r.model.Step(context.Background(), model.Step{Number: number})
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// train takes steps on batches that fill draws.
func (r *rig) train(steps uint64, rate, clip float64) {
	r.t.Helper()
	for step := range steps {
		r.fill(step)
		r.quantize()
		r.step(step)
		if _, err := r.model.Update(context.Background(), model.Update{Number: step + 1, LearningRate: rate, ClipNorm: clip}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) evaluate(request model.Evaluate) model.Evaluation {
	r.t.Helper()
	result, err := r.model.Evaluate(context.Background(), request)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

var (
	characters = model.Task{Kind: model.LanguageModel, InputSize: 7, OutputSize: 7, Batch: 5, Length: 6}
	pixels     = model.Task{Kind: model.SequenceClassification, InputSize: 3, OutputSize: 4, Batch: 6, Length: 5}
)

var networks = []struct {
	name    string
	make    func() model.Model
	options plugins.Values
	task    model.Task
}{
	{"one layer", newPlugin, plugins.Values{"units": "13"}, characters},
	{"plain", newPlugin, plugins.Values{"units": "13", "normalization": "none"}, characters},
	{"shared", newPlugin, plugins.Values{"units": "13", "normalization": "batch-shared"}, characters},
	{"two layers", newPlugin, plugins.Values{"units": "18", "layers": "2"}, characters},
	{"embedding", newPlugin, plugins.Values{"units": "13", "layers": "2", "embedding": "9"}, characters},
	{"plain embedding", newPlugin, plugins.Values{"units": "9", "layers": "3", "embedding": "4", "normalization": "none"}, characters},
	{"classifier", newPlugin, plugins.Values{"units": "17"}, pixels},
	{"batch without the cell", newPlugin, plugins.Values{"units": "13", "normalize-cell": "false"}, characters},
	{"shared without the cell", newPlugin, plugins.Values{"units": "13", "normalization": "batch-shared", "normalize-cell": "false"}, characters},
	{"layer", newPlugin, plugins.Values{"units": "13", "layers": "2", "normalization": "layer"}, characters},
	{"weight", newPlugin, plugins.Values{"units": "13", "layers": "2", "normalization": "weight"}, characters},
	{"gru", newGRU, plugins.Values{"units": "13", "layers": "2"}, characters},
	{"shared gru", newGRU, plugins.Values{"units": "13", "normalization": "batch-shared"}, characters},
	{"layer gru", newGRU, plugins.Values{"units": "13", "normalization": "layer", "embedding": "5"}, characters},
	{"weight gru", newGRU, plugins.Values{"units": "13", "normalization": "weight"}, pixels},
	{"plain gru", newGRU, plugins.Values{"units": "13", "normalization": "none"}, pixels},
	{"gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "layers": "2"}, characters},
	{"layer gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "normalization": "layer"}, pixels},
	{"weight gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "normalization": "weight"}, characters},
	{"plain gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "normalization": "none"}, characters},
	{"plain classifier", newPlugin, plugins.Values{"units": "17", "layers": "2", "normalization": "none"}, pixels},
}

// TestStepAgainstReference holds the loss and every gradient of whole networks
// against the float64 oracle, layer on layer.
func TestStepAgainstReference(t *testing.T) {
	t.Parallel()
	for _, network := range networks {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/%d threads", network.name, threads), func(t *testing.T) {
				t.Parallel()
				r := buildOf(t, network.make, network.options, network.task, threads)
				r.randomise()
				r.fill(1)
				wantLoss, want := r.reference()
				got := r.step(0)
				if math.Abs(got.Loss-wantLoss) > 1e-5 {
					t.Errorf("loss %v, want %v", got.Loss, wantLoss)
				}
				var squares float64
				for _, p := range r.plan.Parameters {
					gradient := r.request.Parameters[p.Name].Grad
					scale := 1e-4
					for _, v := range want[p.Name] {
						scale = max(scale, math.Abs(v))
						squares += v * v
					}
					for i, v := range want[p.Name] {
						if !(math.Abs(float64(gradient[i])-v) <= 5e-4*scale) {
							t.Fatalf("gradient of %s[%d] is %v, want %v (largest %v)", p.Name, i, gradient[i], v, scale)
						}
					}
				}
				updated, err := r.model.Update(context.Background(), model.Update{Number: 1})
				if err != nil {
					t.Fatal(err)
				}
				if norm := math.Sqrt(squares); math.Abs(updated.GradNorm-norm) > 1e-3*norm {
					t.Errorf("gradient norm %v, want %v", updated.GradNorm, norm)
				}
			})
		}
	}
}

// reference computes the rig's network with the oracle.
func (r *rig) reference() (float64, map[string][]float64) {
	task, a := r.request.Task, r.model.session.Architecture
	value := func(name string) []float64 { return double(r.model.session.effective(name)) }
	gradients := map[string][]float64{}
	var x [][]float64
	for step := range task.Length {
		x = append(x, r.features(step))
	}
	type trained struct {
		layer reference.Layer
		w     reference.Weights
		trace *reference.Trace
	}
	var stack []trained
	for i := range a.Layers {
		config := a.Layer(i)
		l := trained{layer: reference.Layer{
			Steps: config.Steps, Batch: config.Batch, Inputs: config.Inputs, Units: config.Units,
			GRU: config.Kind == recurrent.GRU, ResetBefore: config.ResetBefore, NormalizeCell: config.NormalizeCell,
			Normalization: map[recurrent.Normalization]reference.Normalization{
				recurrent.NoNorm: reference.None, recurrent.BatchNorm: reference.Batch, recurrent.SharedBatchNorm: reference.Batch,
				recurrent.LayerNorm: reference.Over, recurrent.WeightNorm: reference.Weight,
			}[config.Normalization],
		}}
		w := r.model.session.weights(i, r.model.session.effective)
		l.w = reference.Weights{
			Wx: double(w.Wx), Wh: double(slices.Concat(w.Wh, w.Whn)), Beta: double(w.Beta), H0: double(w.H0), C0: double(w.C0),
			GammaH: double(w.GammaH), GammaX: double(w.GammaX), BetaH: double(w.BetaH), BetaX: double(w.BetaX),
			GammaC: double(w.GammaC), BetaC: double(w.BetaC),
		}
		l.trace = l.layer.Forward(l.w, x, nil)
		x = l.trace.H
		stack = append(stack, l)
	}
	read := x
	if task.Kind == model.SequenceClassification {
		read = x[len(x)-1:]
	}
	h := slices.Concat(read...)
	softmax := reference.Softmax{Rows: len(h) / a.Units, Units: a.Units, Classes: task.OutputSize}
	targets := r.request.Inputs.Int32["targets"]
	loss, _ := softmax.Loss(value(softmaxName), value(biasName), h, targets)
	dW, dBias, dH := softmax.Backward(value(softmaxName), value(biasName), h, targets)
	gradients[softmaxName], gradients[biasName] = dW, dBias
	d := slices.Collect(slices.Chunk(dH, task.Batch*a.Units))
	for len(d) < task.Length {
		d = slices.Insert(d, 0, make([]float64, task.Batch*a.Units))
	}
	for i, l := range slices.Backward(stack) {
		var g reference.Weights
		g, d = l.layer.Backward(l.w, l.trace, d)
		for part, gradient := range l.layer.Named(g) {
			gradients[layerName(i, part)] = gradient
		}
	}
	if a.Embedding > 0 {
		dW := make([]float64, a.Embedding*task.InputSize)
		for step, gradient := range d {
			for row := range task.Batch {
				token := int(r.request.Inputs.Int32["inputs"][step*task.Batch+row])
				for j := range a.Embedding {
					dW[j*task.InputSize+token] += gradient[row*a.Embedding+j]
				}
			}
		}
		gradients[embeddingName] = dW
	}
	return loss, gradients
}

// features is what the first layer reads at a step.
func (r *rig) features(step int) []float64 {
	task, a := r.request.Task, r.model.session.Architecture
	if task.Kind == model.SequenceClassification {
		n := task.Batch * task.InputSize
		return double(r.request.Inputs.Float32["inputs"][step*n : (step+1)*n])
	}
	width := task.InputSize
	if a.Embedding > 0 {
		width = a.Embedding
	}
	x := make([]float64, task.Batch*width)
	for row := range task.Batch {
		token := int(r.request.Inputs.Int32["inputs"][step*task.Batch+row])
		if a.Embedding == 0 {
			x[row*width+token] = 1
			continue
		}
		for j := range width {
			x[row*width+j] = float64(r.request.Parameters[embeddingName].Value[j*task.InputSize+token])
		}
	}
	return x
}

func double(s []float32) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

// TestExportIsTheFrozenNetwork runs the exported graph in the reference
// interpreter and finds the loss that Evaluate reports.
func TestExportIsTheFrozenNetwork(t *testing.T) {
	t.Parallel()
	for _, network := range networks {
		t.Run(network.name, func(t *testing.T) {
			t.Parallel()
			r := buildOf(t, network.make, network.options, network.task, 2)
			r.randomise()
			for batch := range 3 {
				r.fill(uint64(10 + batch))
				r.evaluate(model.Evaluate{Statistics: model.Calibrate, First: batch == 0})
			}
			r.fill(20)
			want := r.evaluate(model.Evaluate{Statistics: model.Frozen})
			if again := r.evaluate(model.Evaluate{Statistics: model.Frozen}); again != want {
				t.Errorf("the same batch gave %+v, then %+v", want, again)
			}

			graph, err := r.model.Export(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			weights := map[string]packed.Matrix{}
			for _, n := range graph.Nodes {
				if n.Weight != "" {
					shape := r.model.session.shape(n.Weight)
					if weights[n.Weight], err = packed.FromValues(r.model.session.effective(n.Weight), shape[0], shape[1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			interpreter, err := stepgraph.NewReference(graph, weights)
			if err != nil {
				t.Fatal(err)
			}
			loss, count := r.interpret(interpreter)
			if count != want.Count {
				t.Fatalf("%d targets, want %d", count, want.Count)
			}
			if math.Abs(loss-want.LossSum)/float64(count) > 1e-4 {
				t.Errorf("the exported graph's loss is %v per target, the model's %v", loss/float64(count), want.LossSum/float64(count))
			}
		})
	}
}

// interpret runs the batch through an exported graph, a sequence at a time.
func (r *rig) interpret(graph *stepgraph.Reference) (loss float64, count int) {
	task := r.request.Task
	for row := range task.Batch {
		var logits []float64
		var err error
		if task.Kind == model.LanguageModel {
			var tokens []int32
			for step := range task.Length {
				tokens = append(tokens, r.request.Inputs.Int32["inputs"][step*task.Batch+row])
			}
			logits, err = graph.Tokens(tokens)
		} else {
			var features []float32
			for step := range task.Length {
				at := (step*task.Batch + row) * task.InputSize
				features = append(features, r.request.Inputs.Float32["inputs"][at:at+task.InputSize]...)
			}
			logits, err = graph.Dense(features)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		for step, line := range slices.Collect(slices.Chunk(logits, task.OutputSize)) {
			target := r.request.Inputs.Int32["targets"][row]
			if task.Kind == model.LanguageModel {
				target = r.request.Inputs.Int32["targets"][step*task.Batch+row]
			} else if step < task.Length-1 {
				continue
			}
			var sum float64
			for _, v := range line {
				sum += math.Exp(v)
			}
			loss += math.Log(sum) - line[target]
			count++
		}
	}
	return loss, count
}

// TestLearns trains on targets that follow from the inputs and finds most of
// them, with and without dropout, by either optimiser.
func TestLearns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		options   plugins.Values
		task      model.Task
		optimiser model.Optimiser
		rate      float64
		clip      float64
	}{
		{"characters", plugins.Values{"units": "24"}, characters, model.Adam, 0.02, 0},
		{"plain", plugins.Values{"units": "24", "normalization": "none"}, characters, model.Adam, 0.02, 5},
		{"layer", plugins.Values{"units": "24", "normalization": "layer"}, characters, model.Adam, 0.02, 0},
		{"weight", plugins.Values{"units": "24", "normalization": "weight"}, characters, model.Adam, 0.02, 0},
		{"gradient descent", plugins.Values{"units": "24"}, characters, model.SGD, 1, 0.25},
		{"words", plugins.Values{"units": "24", "layers": "2", "embedding": "10", "dropout": "0.1"}, characters, model.Adam, 0.02, 0.25},
		{"classifier", plugins.Values{"units": "24"}, model.Task{Kind: model.SequenceClassification, InputSize: 1, OutputSize: 2, Batch: 64, Length: 3}, model.Adam, 0.02, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := build(t, test.options, test.task, 2)
			r.request.Optimiser = test.optimiser
			if err := r.model.Build(context.Background(), r.request); err != nil {
				t.Fatal(err)
			}
			const steps = 250
			r.train(steps, test.rate, test.clip)
			r.fill(steps)
			got := r.evaluate(model.Evaluate{Statistics: model.Batch})
			if accuracy := float64(got.Correct) / float64(got.Count); accuracy < 0.85 {
				t.Errorf("%d of %d right after %d steps, want 85 %%", got.Correct, got.Count, steps)
			}
		})
	}
}

// TestRepeats builds and steps twice and finds the same bytes; another step
// number draws another dropout mask.
func TestRepeats(t *testing.T) {
	t.Parallel()
	run := func(number uint64) map[string][]float32 {
		r := build(t, plugins.Values{"units": "37", "layers": "2", "dropout": "0.5"}, characters, 2)
		r.fill(1)
		r.step(number)
		if _, err := r.model.Update(context.Background(), model.Update{Number: 1, LearningRate: 0.01}); err != nil {
			t.Fatal(err)
		}
		out := map[string][]float32{}
		for name, p := range r.request.Parameters {
			out[name] = slices.Clone(p.Value)
		}
		return out
	}
	first := run(4)
	if !maps.EqualFunc(first, run(4), slices.Equal) {
		t.Error("the same step left different parameters")
	}
	if maps.EqualFunc(first, run(5), slices.Equal) {
		t.Error("steps 4 and 5 drew the same dropout masks")
	}
}

// TestPartialBatches scores the same 64 sequences as one batch and as partial
// ones of 1, 2 and 63, filled up with others, and finds the same score: but for
// what other filling makes of the statistics, and without statistics exactly.
func TestPartialBatches(t *testing.T) {
	t.Parallel()
	task := characters
	task.Batch = 64
	for name, test := range map[string]struct {
		options    plugins.Values
		statistics model.Statistics
		noise      float64 // nats a target
	}{
		"batch":  {plugins.Values{"units": "24"}, model.Batch, 0.002},
		"frozen": {plugins.Values{"units": "24"}, model.Frozen, 0},
		"plain":  {plugins.Values{"units": "24", "normalization": "none"}, model.Batch, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := build(t, test.options, task, 2)
			r.train(80, 0.02, 0)
			const scored, filling = 1000, 2000
			r.fill(filling)
			r.evaluate(model.Evaluate{Statistics: model.Calibrate, First: true})
			r.fill(scored)
			whole := r.evaluate(model.Evaluate{Statistics: test.statistics})
			sequences := map[string][]int32{}
			for name, tensor := range r.request.Inputs.Int32 {
				sequences[name] = slices.Clone(tensor)
			}
			for _, size := range []int{1, 2, 63} {
				var sum model.Evaluation
				for first := 0; first < task.Batch; first += size {
					valid := min(size, task.Batch-first)
					r.fill(filling + uint64(first))
					for name, tensor := range r.request.Inputs.Int32 {
						for step := range task.Length {
							at := step * task.Batch
							copy(tensor[at:at+valid], sequences[name][at+first:])
						}
					}
					one := r.evaluate(model.Evaluate{Statistics: test.statistics, Valid: valid})
					if one.Count != valid*task.Length {
						t.Fatalf("%d targets of %d sequences counted, want %d", one.Count, valid, valid*task.Length)
					}
					sum.LossSum += one.LossSum
					sum.Count += one.Count
					sum.Correct += one.Correct
				}
				const rounding = 1e-13 // of float64 sums in another order
				got, want := sum.LossSum/float64(sum.Count), whole.LossSum/float64(whole.Count)
				t.Logf("%d at a time: loss %v, as one batch %v", size, got, want)
				if !(math.Abs(got-want) <= test.noise+rounding) {
					t.Errorf("%d at a time: loss %v a target, as one batch %v", size, got, want)
				}
				if test.noise == 0 && sum.Correct != whole.Correct {
					t.Errorf("%d at a time: %d targets right, as one batch %d", size, sum.Correct, whole.Correct)
				}
			}
		})
	}
}

// TestCalibration gathers statistics over batches and finds those of all their
// sequences together.
func TestCalibration(t *testing.T) {
	t.Parallel()
	small := build(t, plugins.Values{"units": "13"}, characters, 2)
	small.randomise()
	var mean, square [4 * 13]float64
	const batches = 4
	for batch := range batches {
		small.fill(uint64(batch))
		small.evaluate(model.Evaluate{Statistics: model.Calibrate, First: batch == 0})
		for _, token := range small.request.Inputs.Int32["inputs"][:characters.Batch] {
			for j := range mean {
				v := float64(small.request.Parameters["layer0.Wx"].Quantized[j*characters.InputSize+int(token)])
				mean[j] += v / (batches * float64(characters.Batch))
				square[j] += v * v / (batches * float64(characters.Batch))
			}
		}
	}
	for j := range mean {
		gotMean, gotVariance := small.request.Buffers["layer0.mean_x"][j], small.request.Buffers["layer0.variance_x"][j]
		if math.Abs(float64(gotMean)-mean[j]) > 1e-6 || math.Abs(float64(gotVariance)-(square[j]-mean[j]*mean[j])) > 1e-6 {
			t.Errorf("unit %d at the first step: mean %v and variance %v, want %v and %v", j, gotMean, gotVariance, mean[j], square[j]-mean[j]*mean[j])
		}
	}
	if got := small.request.Buffers[sequencesName][0]; got != float32(batches*characters.Batch) {
		t.Errorf("%v sequences counted, want %d", got, batches*characters.Batch)
	}
}

func TestInitialValues(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	defer workers.Close()
	for _, shape := range [][2]int{{12, 3}, {3, 12}, {7, 7}, {1, 1}, {64, 5}, {150, 150}, {33, 200}} {
		rows, cols := shape[0], shape[1]
		w := make([]float32, rows*cols)
		if err := Orthogonal(w, rows, cols, Random(1, "w"), matmul.New(workers)); err != nil {
			t.Fatal(err)
		}
		at := func(i, j int) float64 { return float64(w[i*cols+j]) }
		n, long := min(rows, cols), max(rows, cols)
		for a := range n {
			for b := range n {
				var dot, want float64
				for k := range long {
					if rows >= cols {
						dot += at(k, a) * at(k, b)
					} else {
						dot += at(a, k) * at(b, k)
					}
				}
				if a == b {
					want = 1
				}
				if math.Abs(dot-want) > 1e-6 {
					t.Errorf("%d×%d: vectors %d and %d have the product %v, want %v", rows, cols, a, b, dot, want)
				}
			}
		}
	}
	r := build(t, plugins.Values{"units": "5"}, characters, 1)
	for name, want := range map[string][]float32{
		"layer0.gamma_h": {0.1, 0.1}, "layer0.gamma_c": {0.1, 0.1}, "layer0.h0": {0, 0}, "layer0.beta_c": {0, 0},
		"layer0.beta": {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0},
	} {
		if got := r.request.Parameters[name].Value[:len(want)]; !slices.Equal(got, want) {
			t.Errorf("%s starts as %v, want %v", name, got, want)
		}
	}
	gru := buildOf(t, newGRU, plugins.Values{"units": "5", "normalization": "layer"}, characters, 1)
	if got := gru.request.Parameters["layer0.gamma_x"].Value; !slices.Equal(got, slices.Repeat([]float32{1}, 15)) {
		t.Errorf("gains of a layer normalization start as %v, want ones", got)
	}
	if got := gru.request.Parameters["layer0.beta"].Value; !slices.Equal(got, make([]float32, 15)) {
		t.Errorf("biases of a GRU start as %v, want zeros", got)
	}
	// With gains that are the rows' norms, weight normalization changes nothing.
	for _, reset := range []string{"after", "before"} {
		start := func(normalization string) model.Evaluation {
			r := buildOf(t, newGRU, plugins.Values{"units": "5", "normalization": normalization, "reset": reset}, characters, 1)
			for _, p := range r.request.Parameters {
				copy(p.Quantized, p.Value)
			}
			r.fill(1)
			return r.evaluate(model.Evaluate{Statistics: model.Frozen})
		}
		if got, want := start("weight").LossSum, start("none").LossSum; math.Abs(got-want) > 1e-4 {
			t.Errorf("reset %s: the loss starts at %v with weight normalization, at %v without", reset, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	changed := func(change func(*model.Task)) model.Task {
		task := characters
		change(&task)
		return task
	}
	for name, test := range map[string]struct {
		options plugins.Values
		task    model.Task
		want    string
	}{
		"unknown option":      {plugins.Values{"unit": "3"}, characters, `did you mean "units"?`},
		"out of bounds":       {plugins.Values{"layers": "9"}, characters, "between 1 and 4"},
		"choice":              {plugins.Values{"normalization": "bach"}, characters, "one of none, batch, batch-shared, layer, weight"},
		"one sequence":        {nil, changed(func(t *model.Task) { t.Batch = 1 }), "raise the batch to at least 2"},
		"unknown task":        {nil, changed(func(t *model.Task) { t.Kind = "reading" }), `kind "reading"`},
		"empty vocabulary":    {nil, changed(func(t *model.Task) { t.InputSize = 0 }), "input size is 0"},
		"embedding of pixels": {plugins.Values{"embedding": "3"}, pixels, "set it to 0"},
		"a reset gate":        {plugins.Values{"reset": "before"}, characters, `"reset"`},
		"carried state":       {plugins.Values{"carry-state": "true"}, characters, `"carry-state"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newPlugin().Plan(context.Background(), test.options, test.task)
			var problem *plugins.Problem
			if !errors.As(err, &problem) || !strings.Contains(problem.Sentence, test.want) {
				t.Errorf("got %v, want a problem that says %q", err, test.want)
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	if _, err := newPlugin().Step(ctx, model.Step{}); err == nil || !strings.Contains(err.Error(), "Build") {
		t.Errorf("a step before Build: %v", err)
	}
	r := build(t, plugins.Values{"units": "5"}, characters, 1)
	r.fill(1)
	if _, err := r.model.Evaluate(ctx, model.Evaluate{Statistics: model.Frozen}); err == nil || !strings.Contains(err.Error(), "calibrate") {
		t.Errorf("frozen before calibrating: %v", err)
	}
	if _, err := r.model.Export(ctx); err == nil || !strings.Contains(err.Error(), "calibrate") {
		t.Errorf("export before calibrating: %v", err)
	}
	r.request.Inputs.Int32["inputs"][3] = 7
	if _, err := r.model.Step(ctx, model.Step{}); err == nil || !strings.Contains(err.Error(), "token 3 is 7") {
		t.Errorf("a token outside of the vocabulary: %v", err)
	}
	r.fill(1)
	if result := r.step(0); math.IsNaN(result.Loss) {
		t.Errorf("the step after a refused one has loss %v", result.Loss)
	}
	short := r.request
	short.Parameters = maps.Clone(short.Parameters)
	short.Parameters["layer0.Wh"] = model.Tensors{Value: make([]float32, 3)}
	if err := newPlugin().Build(ctx, short); err == nil || !strings.Contains(err.Error(), "layer0.Wh has 3 elements") {
		t.Errorf("a short tensor: %v", err)
	}
}

// TestUpdateAllocatesNothing counts for the whole process, so it is not parallel.
func TestUpdateAllocatesNothing(t *testing.T) {
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		r := build(t, plugins.Values{"units": "37"}, characters, 2)
		r.request.Optimiser = optimiser
		if err := r.model.Build(context.Background(), r.request); err != nil {
			t.Fatal(err)
		}
		r.quantize()
		r.fill(1)
		r.step(0)
		number := uint64(0)
		if n := testing.AllocsPerRun(10, func() {
			number++
			if _, err := r.model.session.Update(model.Update{Number: number, LearningRate: 0.002, ClipNorm: 1}); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per update, want none", optimiser, n)
		}
	}
}
