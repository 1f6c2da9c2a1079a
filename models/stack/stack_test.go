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
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/packed"
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

func build(t testing.TB, options plugins.Values, shape network.Shape, threads int) *rig {
	t.Helper()
	return buildOf(t, newPlugin, options, shape, threads, model.Float32)
}

// session is the network that the model has built.
func (r *rig) session() *Session { return r.model.Session.(*Session) }

func buildOf(t testing.TB, create func() model.Model, options plugins.Values, shape network.Shape, threads int, arithmetic model.Arithmetic) *rig {
	t.Helper()
	ctx := context.Background()
	r := &rig{t: t, model: create().(*plugin)}
	resolved, err := plugins.Resolve("model", mustDescribe(t, r.model).Options, options)
	if err != nil {
		t.Fatal(err)
	}
	if r.plan, err = r.model.Plan(ctx, resolved, shape); err != nil {
		t.Fatal(err)
	}
	r.request = model.Build{
		Options: resolved, Shape: shape, Seed: 11, Threads: threads, Optimiser: model.Adam, Arithmetic: arithmetic,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{}, Batch: shape.Allocate(),
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
	if err := r.model.Build(ctx, r.request); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.session().Close(); err != nil {
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

// fill draws a batch. Targets follow from inputs, so that they can be learned. Half
// of the sequences that can go on do.
func (r *rig) fill(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	shape, batch := r.request.Shape, r.request.Batch
	in := r.session().input()
	for i := range batch.Fresh {
		batch.Fresh[i] = int32(i % 2)
	}
	if lengths, given := r.session().lengths(); given {
		for i := range batch.Int32[lengths] {
			batch.Int32[lengths][i] = int32(1 + random.IntN(shape.Steps[in.Stream]))
		}
	}
	for i := range batch.Int32[in.Name] {
		batch.Int32[in.Name][i] = int32(random.IntN(in.Size))
	}
	for i := range batch.Float32[in.Name] {
		batch.Float32[in.Name][i] = float32(random.NormFloat64())
	}
	for at := range batch.Targets {
		step, sequence := at/shape.Sequences, at%shape.Sequences
		length := batch.Length(shape.Inputs, in.Stream, sequence)
		if shape.Targets == "" {
			step = length - 1
		}
		from := step*shape.Sequences + sequence
		switch {
		case step >= length:
			batch.Targets[at] = -1
		case in.Role == network.Tokens:
			batch.Targets[at] = (batch.Int32[in.Name][from] + 1) % int32(shape.Classes)
		case batch.Float32[in.Name][from*in.Size] > 0:
			batch.Targets[at] = 1
		default:
			batch.Targets[at] = 0
		}
	}
}

// allFresh makes all sequences of a batch start fresh.
func (r *rig) allFresh() {
	for i := range r.request.Batch.Fresh {
		r.request.Batch.Fresh[i] = 1
	}
}

// drop takes away some of the targets.
func (r *rig) drop() {
	for i := range r.request.Batch.Targets {
		if i%3 == 1 {
			r.request.Batch.Targets[i] = -1
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

func (r *rig) evaluate(request model.Evaluate) network.Score {
	r.t.Helper()
	result, err := r.model.Evaluate(context.Background(), request)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// sequences is a shape with one stream.
func sequences(role network.Role, size, steps, batch, classes int, atEachStep bool) network.Shape {
	s := network.Shape{
		Inputs: []network.Input{{Name: "read", Role: role, Stream: "text", Size: size}},
		Steps:  map[string]int{"text": steps}, Sequences: batch, Classes: classes,
	}
	if atEachStep {
		s.Targets = "text"
	}
	return s
}

func carried(s network.Shape) network.Shape {
	s.Carried = true
	return s
}

func withLengths(s network.Shape) network.Shape {
	s.Inputs = append([]network.Input{{Name: "long", Role: network.Lengths, Stream: "text", Size: 1}}, s.Inputs...)
	return s
}

var (
	characters = sequences(network.Tokens, 7, 6, 5, 7, true)
	pixels     = sequences(network.Features, 3, 5, 6, 4, false)
	sentences  = withLengths(sequences(network.Tokens, 7, 6, 7, 3, false))
)

var networks = []struct {
	name    string
	make    func() model.Model
	options plugins.Values
	shape   network.Shape
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
	{"carried", newPlugin, plugins.Values{"units": "13", "layers": "2", "normalization": "none"}, carried(characters)},
	{"carried batch", newPlugin, plugins.Values{"units": "13", "layers": "2"}, carried(characters)},
	{"carried layer gru", newGRU, plugins.Values{"units": "13", "layers": "2", "normalization": "layer"}, carried(characters)},
	{"carried weight", newPlugin, plugins.Values{"units": "13", "normalization": "weight", "embedding": "5"}, carried(withLengths(characters))},
	{"carried gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "normalization": "batch-shared"}, carried(characters)},
	{"lengths", newPlugin, plugins.Values{"units": "13", "layers": "2", "normalization": "none"}, withLengths(characters)},
	{"lengths of features", newGRU, plugins.Values{"units": "13", "normalization": "layer"}, withLengths(pixels)},
	{"batch with lengths", newPlugin, plugins.Values{"units": "13"}, sentences},
	{"shared gru with lengths", newGRU, plugins.Values{"units": "13", "normalization": "batch-shared", "embedding": "5"}, sentences},
	{"bidirectional", newPlugin, plugins.Values{"units": "13", "normalization": "none", "bidirectional": "true"}, pixels},
	{"bidirectional batch", newPlugin, plugins.Values{"units": "9", "layers": "2", "bidirectional": "true"}, pixels},
	{"bidirectional with lengths", newPlugin, plugins.Values{"units": "9", "layers": "2", "bidirectional": "true", "normalization": "none", "embedding": "5"}, sentences},
	{"bidirectional batch with lengths", newPlugin, plugins.Values{"units": "9", "layers": "2", "bidirectional": "true"}, sentences},
	{"bidirectional shared gru with lengths", newGRU, plugins.Values{"units": "9", "bidirectional": "true", "normalization": "batch-shared"}, sentences},
	{"noise", newPlugin, plugins.Values{"units": "13", "layers": "2", "initial-noise": "0.5"}, characters},
	{"noise without normalization", newGRU, plugins.Values{"units": "13", "normalization": "none", "initial-noise": "0.5"}, carried(characters)},
	{"carried noise", newPlugin, plugins.Values{"units": "13", "layers": "2", "initial-noise": "0.5"}, carried(characters)},
	{"shared gru with noise", newGRU, plugins.Values{"units": "13", "normalization": "batch-shared", "initial-noise": "0.5"}, pixels},
	{"bidirectional noise with lengths", newPlugin, plugins.Values{"units": "9", "layers": "2", "bidirectional": "true", "initial-noise": "0.5"}, sentences},
	{"rounded", newPlugin, plugins.Values{"units": "13", "layers": "2", "hidden-bits": "2"}, characters},
	{"rounded classifier", newPlugin, plugins.Values{"units": "17", "normalization": "none", "hidden-bits": "1"}, pixels},
	{"carried rounded", newPlugin, plugins.Values{"units": "13", "normalization": "layer", "hidden-bits": "3"}, carried(characters)},
	{"carried rounded gru", newGRU, plugins.Values{"units": "13", "layers": "2", "normalization": "weight", "hidden-bits": "3"}, carried(characters)},
	{"rounded gru with reset before", newGRU, plugins.Values{"units": "13", "reset": "before", "hidden-bits": "2", "initial-noise": "0.5"}, characters},
	{"bidirectional rounded with lengths", newPlugin, plugins.Values{"units": "9", "layers": "2", "bidirectional": "true", "normalization": "batch-shared", "hidden-bits": "2"}, sentences},
	{"bidirectional gru", newGRU, plugins.Values{"units": "9", "layers": "3", "bidirectional": "true", "normalization": "layer"}, sentences},
}

// TestStepAgainstReference holds the loss and every gradient of whole networks
// against the float64 oracle, layer on layer. Where state is carried the batch goes
// on from one before it.
func TestStepAgainstReference(t *testing.T) {
	t.Parallel()
	for _, n := range networks {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/%d threads", n.name, threads), func(t *testing.T) {
				t.Parallel()
				r := buildOf(t, n.make, n.options, n.shape, threads, model.Float32)
				r.randomise()
				o := newOracle(r)
				if n.shape.Carried {
					r.fill(7)
					r.allFresh()
					r.step(0)
					o.run()
				}
				r.fill(1)
				r.drop()
				got := r.step(1)
				wantLoss, backward := o.run()
				if o.margin < 1e-5 {
					t.Fatalf("a hidden state is %v from the middle between two levels, where single precision may choose the other; take other numbers", o.margin)
				}
				want := backward()
				if math.Abs(got.Loss-wantLoss) > 1e-5 {
					t.Errorf("loss %v, want %v", got.Loss, wantLoss)
				}
				var squares float64
				for _, p := range r.plan.Parameters {
					gradient := r.request.Parameters[p.Name].Grad
					if len(want[p.Name]) != len(gradient) {
						t.Fatalf("the oracle has %d gradients of %s, want %d", len(want[p.Name]), p.Name, len(gradient))
					}
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

// TestExportIsTheFrozenNetwork runs the exported network in the reference
// interpreter and finds the scores that Evaluate reports, over two batches of which
// the second goes on from the first where state is carried.
func TestExportIsTheFrozenNetwork(t *testing.T) {
	t.Parallel()
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			r := buildOf(t, n.make, n.options, n.shape, 2, model.Float32)
			r.randomise()
			for batch := range 3 {
				r.fill(uint64(10 + batch))
				if batch == 0 {
					r.allFresh()
				}
				r.evaluate(model.Evaluate{Statistics: model.Calibrate, First: batch == 0})
			}
			exported, err := r.model.Export(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if err := exported.Serves(n.shape); err != nil {
				t.Error(err)
			}
			weights := map[string]packed.Matrix{}
			for _, stage := range exported.Stages {
				for _, node := range stage.Graph.Nodes {
					if node.Weight == "" {
						continue
					}
					i := slices.IndexFunc(r.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
					shape := r.plan.Parameters[i].Shape
					if weights[node.Weight], err = packed.FromValues(r.session().Effective(node.Weight), shape[0], shape[1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			interpreter, err := network.NewReference(exported, weights)
			if err != nil {
				t.Fatal(err)
			}
			for batch := range 2 {
				r.fill(uint64(20 + batch))
				r.drop()
				if batch == 0 {
					r.allFresh()
				}
				got := r.evaluate(model.Evaluate{Statistics: model.Frozen})
				want, err := interpreter.Score(r.request.Batch)
				if err != nil {
					t.Fatal(err)
				}
				if got.Count != want.Count || got.Count == 0 {
					t.Fatalf("batch %d: %d targets, want %d", batch, got.Count, want.Count)
				}
				if !(math.Abs(got.LossSum-want.LossSum)/float64(got.Count) <= 1e-4) {
					t.Errorf("batch %d: the model's loss is %v per target, the exported network's %v", batch, got.LossSum/float64(got.Count), want.LossSum/float64(got.Count))
				}
			}
		})
	}
}

// TestLearns trains on targets that follow from the inputs and finds most of
// them, with and without dropout, by either optimiser.
func TestLearns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		options   plugins.Values
		shape     network.Shape
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
		{"classifier", plugins.Values{"units": "24"}, sequences(network.Features, 1, 3, 64, 2, false), model.Adam, 0.02, 0},
		{"carried", plugins.Values{"units": "24", "normalization": "layer"}, carried(characters), model.Adam, 0.02, 0},
		{"bidirectional", plugins.Values{"units": "16", "bidirectional": "true"}, sentences, model.Adam, 0.02, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := build(t, test.options, test.shape, 2)
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
// number draws another dropout mask and other noise.
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

// TestInitialNoise trains, evaluates and deploys a network with noise on initial states on
// sequences that all begin alike, as images with black borders do.
func TestInitialNoise(t *testing.T) {
	t.Parallel()
	shape := sequences(network.Features, 1, 64, 8, 2, false)
	make := func(noise string) *rig {
		r := build(t, plugins.Values{"units": "16", "initial-noise": noise}, shape, 2)
		r.fill(1)
		for at := range 60 * shape.Sequences {
			r.request.Batch.Float32["read"][at] = 0
		}
		return r
	}
	norm := func(r *rig) float64 {
		r.step(0)
		result, err := r.model.Update(context.Background(), model.Update{Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		return result.GradNorm
	}
	if got := norm(make("0")); got < 1e6 {
		t.Errorf("the gradient has the norm %v without noise: the test shows nothing", got)
	}
	noisy := make("0.1")
	first := norm(noisy)
	if !(first < 10) {
		t.Errorf("the gradient has the norm %v with noise, want a moderate one", first)
	}
	gradient := func(r *rig, number uint64) []float32 {
		r.step(number)
		return slices.Clone(r.request.Parameters["layer0.Wh"].Grad)
	}
	if a, b := gradient(noisy, 3), gradient(noisy, 4); slices.Equal(a, b) {
		t.Error("steps 3 and 4 drew the same noise")
	}

	// Evaluations are the same whatever came before, and the deployed network has no noise.
	again := make("0.1")
	for _, request := range []model.Evaluate{{Statistics: model.Batch}, {Statistics: model.Calibrate, First: true}, {Statistics: model.Frozen}} {
		if got, want := again.evaluate(request), noisy.evaluate(request); got != want {
			t.Errorf("%s: score %+v, and %+v after steps", request.Statistics, got, want)
		}
	}
	silent := make("0")
	if got, other := silent.evaluate(model.Evaluate{Statistics: model.Batch}), noisy.evaluate(model.Evaluate{Statistics: model.Batch}); got == other {
		t.Errorf("score %+v with statistics of the batch, with noise and without", got)
	}
	for name, buffer := range noisy.request.Buffers {
		copy(silent.request.Buffers[name], buffer)
	}
	if got, want := noisy.evaluate(model.Evaluate{Statistics: model.Frozen}), silent.evaluate(model.Evaluate{Statistics: model.Frozen}); got != want {
		t.Errorf("the frozen network has the score %+v, with noise off %+v", got, want)
	}
}

// TestPartialBatches scores the same 64 sequences as one batch and as partial
// ones of 1, 2 and 63, filled up with others, and finds the same score: but for
// what other filling makes of the statistics, and without statistics exactly.
func TestPartialBatches(t *testing.T) {
	t.Parallel()
	shape := characters
	shape.Sequences = 64
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
			r := build(t, test.options, shape, 2)
			r.train(80, 0.02, 0)
			const scored, filling = 1000, 2000
			r.fill(filling)
			r.evaluate(model.Evaluate{Statistics: model.Calibrate, First: true})
			r.fill(scored)
			whole := r.evaluate(model.Evaluate{Statistics: test.statistics})
			inputs, targets := slices.Clone(r.request.Batch.Int32["read"]), slices.Clone(r.request.Batch.Targets)
			for _, size := range []int{1, 2, 63} {
				var sum network.Score
				for first := 0; first < shape.Sequences; first += size {
					scored := min(size, shape.Sequences-first)
					r.fill(filling + uint64(first))
					batch := r.request.Batch
					for at := 0; at < len(targets); at += shape.Sequences {
						copy(batch.Int32["read"][at:at+scored], inputs[at+first:])
						copy(batch.Targets[at:at+scored], targets[at+first:])
						for i := scored; i < shape.Sequences; i++ {
							batch.Targets[at+i] = -1
						}
					}
					one := r.evaluate(model.Evaluate{Statistics: test.statistics})
					if want := scored * shape.Steps["text"]; one.Count != want {
						t.Fatalf("%d targets of %d sequences counted, want %d", one.Count, scored, want)
					}
					sum.Add(one)
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
		for _, token := range small.request.Batch.Int32["read"][:characters.Sequences] {
			for j := range mean {
				v := float64(small.request.Parameters["layer0.Wx"].Quantized[j*characters.Inputs[0].Size+int(token)])
				mean[j] += v / (batches * float64(characters.Sequences))
				square[j] += v * v / (batches * float64(characters.Sequences))
			}
		}
	}
	for j := range mean {
		gotMean, gotVariance := small.request.Buffers["layer0.mean_x"][j], small.request.Buffers["layer0.variance_x"][j]
		if math.Abs(float64(gotMean)-mean[j]) > 1e-6 || math.Abs(float64(gotVariance)-(square[j]-mean[j]*mean[j])) > 1e-6 {
			t.Errorf("unit %d at the first step: mean %v and variance %v, want %v and %v", j, gotMean, gotVariance, mean[j], square[j]-mean[j]*mean[j])
		}
	}
	if got := small.request.Buffers[SequencesName][0]; got != float32(batches*characters.Sequences) {
		t.Errorf("%v sequences counted, want %d", got, batches*characters.Sequences)
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
	gru := buildOf(t, newGRU, plugins.Values{"units": "5", "normalization": "layer"}, characters, 1, model.Float32)
	if got := gru.request.Parameters["layer0.gamma_x"].Value; !slices.Equal(got, slices.Repeat([]float32{1}, 15)) {
		t.Errorf("gains of a layer normalization start as %v, want ones", got)
	}
	if got := gru.request.Parameters["layer0.beta"].Value; !slices.Equal(got, make([]float32, 15)) {
		t.Errorf("biases of a GRU start as %v, want zeros", got)
	}
	// With gains that are the rows' norms, weight normalization changes nothing.
	for _, reset := range []string{"after", "before"} {
		start := func(normalization string) network.Score {
			r := buildOf(t, newGRU, plugins.Values{"units": "5", "normalization": normalization, "reset": reset}, characters, 1, model.Float32)
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
	changed := func(change func(*network.Shape)) network.Shape {
		shape := characters
		shape.Inputs = slices.Clone(shape.Inputs)
		change(&shape)
		return shape
	}
	add := func(in network.Input) network.Shape {
		return changed(func(s *network.Shape) {
			s.Inputs = append(s.Inputs, in)
			s.Steps = map[string]int{"text": 6, "question": 3}
		})
	}
	for name, test := range map[string]struct {
		options plugins.Values
		shape   network.Shape
		want    string
	}{
		"unknown option":      {plugins.Values{"unit": "3"}, characters, `did you mean "units"?`},
		"out of bounds":       {plugins.Values{"layers": "9"}, characters, "between 1 and 4"},
		"too many bits":       {plugins.Values{"hidden-bits": "9"}, characters, `option hidden-bits = "9" must be between 0 and 8`},
		"choice":              {plugins.Values{"normalization": "bach"}, characters, "one of none, batch, batch-shared, layer, weight"},
		"one sequence":        {nil, changed(func(s *network.Shape) { s.Sequences = 1 }), "raise the batch to at least 2"},
		"no class":            {nil, changed(func(s *network.Shape) { s.Classes = 0 }), "0 classes"},
		"empty vocabulary":    {nil, changed(func(s *network.Shape) { s.Inputs[0].Size = 0 }), "cannot be built for this task"},
		"nothing to read":     {nil, changed(func(s *network.Shape) { s.Inputs[0].Role, s.Inputs[0].Size = network.Lengths, 1 }), "0 inputs to read; it serves tasks with one stream"},
		"two to read":         {nil, add(network.Input{Name: "too", Role: network.Tokens, Stream: "text", Size: 3}), "2 inputs to read; it serves tasks with one stream"},
		"two streams":         {nil, add(network.Input{Name: "too", Role: network.Tokens, Stream: "question", Size: 3}), `the streams "text" and "question"; it serves tasks with one stream`},
		"candidates":          {nil, add(network.Input{Name: "choice", Role: network.Candidates, Size: 7}), `candidates, the input "choice"; it serves`},
		"embedding of pixels": {plugins.Values{"embedding": "3"}, pixels, "set it to 0"},
		"a reset gate":        {plugins.Values{"reset": "before"}, characters, `"reset"`},
		"both directions":     {plugins.Values{"bidirectional": "true"}, characters, "read the steps that it is to predict"},
		"both, carried":       {plugins.Values{"bidirectional": "true"}, carried(pixels), "go on from batch to batch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newPlugin().Plan(context.Background(), test.options, test.shape)
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
	r.request.Batch.Int32["read"][3] = 7
	if _, err := r.model.Step(ctx, model.Step{}); err == nil || !strings.Contains(err.Error(), "token 3 is 7") {
		t.Errorf("a token outside of the vocabulary: %v", err)
	}
	r.fill(1)
	if result := r.step(0); math.IsNaN(result.Loss) {
		t.Errorf("the step after a refused one has loss %v", result.Loss)
	}
	for i := range r.request.Batch.Targets {
		r.request.Batch.Targets[i] = -1
	}
	if _, err := r.model.Step(ctx, model.Step{}); err == nil || !strings.Contains(err.Error(), "no target to train on") {
		t.Errorf("a step without a target: %v", err)
	}
	if got := r.evaluate(model.Evaluate{Statistics: model.Batch}); got != (network.Score{}) {
		t.Errorf("a batch without a target has the score %+v", got)
	}
	short := r.request
	short.Parameters = maps.Clone(short.Parameters)
	short.Parameters["layer0.Wh"] = model.Tensors{Value: make([]float32, 3)}
	if err := newPlugin().Build(ctx, short); err == nil || !strings.Contains(err.Error(), "layer0.Wh has 3 elements") {
		t.Errorf("a short tensor: %v", err)
	}
	short = r.request
	short.Batch.Targets = short.Batch.Targets[1:]
	if err := newPlugin().Build(ctx, short); err == nil || !strings.Contains(err.Error(), "targets has 29 elements") {
		t.Errorf("a short batch: %v", err)
	}
}

// Update moves what the quantizer learns beside the plan's parameters, by the same
// formula, and a Build that lacks a tensor of it is refused by name.
func TestUpdateBeyondThePlan(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		for _, threads := range []int{1, 3} {
			r := build(t, plugins.Values{"units": "5"}, characters, threads)
			r.request.Optimiser = optimiser
			const n, rate = 37, 0.01
			state := model.Tensors{Value: make([]float32, n), Grad: make([]float32, n), Moment1: make([]float32, n), Moment2: make([]float32, n)}
			r.request.Parameters["layer0.Wh/step"] = state
			if err := r.model.Build(ctx, r.request); err != nil {
				t.Fatal(err)
			}
			r.quantize()
			r.fill(1)
			want, moment1, moment2 := make([]float64, n), make([]float64, n), make([]float64, n)
			for number := 1; number <= 3; number++ {
				r.step(uint64(number))
				square := 0.0
				for i := range state.Grad {
					state.Grad[i] = float32(math.Sin(float64(7*i + number)))
				}
				for _, p := range r.request.Parameters {
					for _, g := range p.Grad {
						square += float64(g) * float64(g)
					}
				}
				norm := math.Sqrt(square)
				result, err := r.model.Update(ctx, model.Update{Number: uint64(number), LearningRate: rate, ClipNorm: norm / 2})
				if err != nil || math.Abs(result.GradNorm-norm) > 1e-5*norm {
					t.Fatalf("%s: Update = %+v, %v, want the norm %v", optimiser, result, err, norm)
				}
				for i, g := range state.Grad {
					g := float64(g) / 2
					moment1[i], moment2[i] = 0.9*moment1[i]+0.1*g, 0.999*moment2[i]+0.001*g*g
					if optimiser == model.SGD {
						want[i] -= rate * g
					} else {
						want[i] -= rate * moment1[i] / (1 - math.Pow(0.9, float64(number))) / (math.Sqrt(moment2[i]/(1-math.Pow(0.999, float64(number)))) + 1e-8)
					}
					if math.Abs(float64(state.Value[i])-want[i]) > 1e-6 {
						t.Errorf("%s, %d threads, update %d: element %d = %v, want %v", optimiser, threads, number, i, state.Value[i], want[i])
					}
				}
			}
			r.request.Parameters["layer0.Wh/step"] = model.Tensors{Value: state.Value}
			if err := newPlugin().Build(ctx, r.request); err == nil || !strings.Contains(err.Error(), "the gradient of layer0.Wh/step has 0 elements") {
				t.Errorf("%s: a state without a gradient: %v", optimiser, err)
			}
		}
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
			if _, err := r.session().Update(model.Update{Number: number, LearningRate: 0.002, ClipNorm: 1}); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per update, want none", optimiser, n)
		}
	}
}
