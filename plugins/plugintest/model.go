package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/modelrpc"
	"bittern/plugins/model"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Model holds a model against the contract, once with each of the given
// options. Give options that make the network small; with none given the
// defaults are used.
func Model(t *testing.T, create func() model.Model, options ...plugins.Values) {
	t.Helper()
	runModel(t, options,
		way[model.Model]{"in process", func(*testing.T, *arena.Arena) model.Model { return create() }},
		way[model.Model]{"over gRPC", func(t *testing.T, shared *arena.Arena) model.Model {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = modelrpc.Register(registrar, create()) })
			closeAfter(t, session)
			return modelrpc.NewClient(conn, shared)
		}})
}

// ModelProcess holds an executable, or a built-in, against the contract.
func ModelProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) {
	t.Helper()
	runModel(t, options, way[model.Model]{"in its own process", func(t *testing.T, shared *arena.Arena) model.Model {
		process, err := catalogue.Model(t.Context(), name, host.Settings{Arena: shared})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Model
	}})
}

// modelTasks are one task of each kind, with sizes that are no multiple of any
// vector. A model may refuse a kind it is not made for, but not all.
var modelTasks = []model.Task{
	{Kind: model.LanguageModel, InputSize: 7, OutputSize: 7, Batch: 3, Length: 5},
	{Kind: model.SequenceClassification, InputSize: 5, OutputSize: 3, Batch: 3, Length: 6},
}

func runModel(t *testing.T, optionSets []plugins.Values, ways ...way[model.Model]) {
	if len(optionSets) == 0 {
		optionSets = []plugins.Values{nil}
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			t.Run("Describe", func(t *testing.T) {
				t.Parallel()
				checkDescription(t, plugins.KindModel, nil, way.open(t, newArena(t)))
			})
			t.Run("option bounds", func(t *testing.T) {
				t.Parallel()
				m := way.open(t, newArena(t))
				d, judge := describe(t, plugins.KindModel, m)
				whole := checked.Model(m, judge)
				checkRefusals(t, d.Options, func(ctx context.Context, options plugins.Values) error {
					_, err := whole.Plan(ctx, options, modelTasks[0])
					return err
				})
			})
			for _, options := range optionSets {
				t.Run(fmt.Sprintf("options %v", options), func(t *testing.T) {
					t.Parallel()
					checkServesSomething(t, way.open, options)
					for _, task := range modelTasks {
						t.Run(string(task.Kind), func(t *testing.T) {
							t.Parallel()
							runModelTask(t, way.open, options, task)
						})
					}
				})
			}
		})
	}
}

func runModelTask(t *testing.T, open opener[model.Model], options plugins.Values, task model.Task) {
	for name, check := range map[string]func(*testing.T, *modelSession){
		"Plan repeats":             checkPlanRepeats,
		"Build repeats":            checkBuildRepeats,
		"Step repeats":             checkStepRepeats,
		"Step overwrites Grad":     checkGradOverwritten,
		"Step uses Quantized":      checkUsesQuantized,
		"Update":                   checkUpdate,
		"Evaluate":                 checkEvaluate,
		"Evaluate a partial batch": checkPartialBatch,
		"Export":                   checkExport,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, buildModel(t, open, options, task))
		})
	}
}

func checkServesSomething(t *testing.T, open opener[model.Model], options plugins.Values) {
	t.Helper()
	var refusals []error
	for _, task := range modelTasks {
		m := open(t, newArena(t))
		_, judge := describe(t, plugins.KindModel, m)
		_, err := checked.Model(m, judge).Plan(t.Context(), options, task)
		if err == nil {
			return
		}
		refusals = append(refusals, err)
	}
	t.Fatalf("the model serves no kind of task: %v", errors.Join(refusals...))
}

// modelSession is a model that has been built on tensors of its own.
type modelSession struct {
	model.Model
	open    opener[model.Model]
	options plugins.Values
	plan    model.Plan
	build   model.Build
}

func buildModel(t *testing.T, open opener[model.Model], options plugins.Values, task model.Task) *modelSession {
	t.Helper()
	ctx := t.Context()
	shared := newArena(t)
	m := open(t, shared)
	_, judge := describe(t, plugins.KindModel, m)
	s := &modelSession{Model: checked.Model(m, judge), open: open, options: options}
	var err error
	s.plan, err = s.Plan(ctx, options, task)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		t.Skipf("refuses the task: %s", problem)
	}
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	s.build = model.Build{
		Options: options, Task: task, Seed: 42, Threads: 2, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{},
		Inputs: allocateInputs(t, shared, task),
	}
	for _, p := range s.plan.Parameters {
		tensors := model.Tensors{}
		needed := []*[]float32{&tensors.Value, &tensors.Grad, &tensors.Moment1, &tensors.Moment2}
		if p.Quantize {
			needed = append(needed, &tensors.Quantized)
		}
		for _, tensor := range needed {
			*tensor = allocate[float32](t, shared, p.Shape...)
		}
		s.build.Parameters[p.Name] = tensors
	}
	for _, b := range s.plan.Buffers {
		s.build.Buffers[b.Name] = allocate[float32](t, shared, b.Shape...)
	}
	if err := s.Build(ctx, s.build); err != nil {
		t.Fatalf("Build: %v", err)
	}
	for _, p := range s.build.Parameters {
		copy(p.Quantized, p.Value)
	}
	return s
}

// allocateInputs makes a batch of random symbols or features.
func allocateInputs(t *testing.T, shared *arena.Arena, task model.Task) model.Inputs {
	t.Helper()
	random := randomness()
	if task.Kind == model.LanguageModel {
		inputs := allocate[int32](t, shared, task.Length, task.Batch)
		targets := allocate[int32](t, shared, task.Length, task.Batch)
		for i := range inputs {
			inputs[i], targets[i] = random.Int32N(int32(task.InputSize)), random.Int32N(int32(task.OutputSize))
		}
		return model.Inputs{Int32: map[string][]int32{"inputs": inputs, "targets": targets}}
	}
	inputs := allocate[float32](t, shared, task.Length, task.Batch, task.InputSize)
	for i := range inputs {
		inputs[i] = random.Float32()
	}
	targets := allocate[int32](t, shared, task.Batch)
	for i := range targets {
		targets[i] = random.Int32N(int32(task.OutputSize))
	}
	return model.Inputs{Int32: map[string][]int32{"targets": targets}, Float32: map[string][]float32{"inputs": inputs}}
}

func (s *modelSession) step(t *testing.T) model.StepResult {
	t.Helper()
	result, err := s.Step(t.Context(), model.Step{Number: 3})
	if err != nil {
		t.Fatalf("Step: %v", err)
	}
	return result
}

func (s *modelSession) evaluate(t *testing.T, request model.Evaluate) model.Evaluation {
	t.Helper()
	evaluation, err := s.Evaluate(t.Context(), request)
	if err != nil {
		t.Fatalf("Evaluate(%+v): %v", request, err)
	}
	return evaluation
}

// calibrate gives the frozen statistics something to hold.
func (s *modelSession) calibrate(t *testing.T) {
	t.Helper()
	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate, First: true})
	s.evaluate(t, model.Evaluate{Statistics: model.Calibrate})
}

// copied returns copies of the tensors that pick chooses, by parameter.
func (s *modelSession) copied(pick func(model.Tensors) []float32) map[string][]float32 {
	copies := make(map[string][]float32)
	for name, tensors := range s.build.Parameters {
		copies[name] = slices.Clone(pick(tensors))
	}
	return copies
}

func value(t model.Tensors) []float32     { return t.Value }
func quantized(t model.Tensors) []float32 { return t.Quantized }
func grad(t model.Tensors) []float32      { return t.Grad }

func sameTensors(t *testing.T, what string, got, want map[string][]float32) {
	t.Helper()
	for name := range want {
		if i := difference(got[name], want[name]); i >= 0 {
			t.Errorf("%s: element %d of %s = %v, want %v", what, i, name, got[name][i], want[name][i])
		}
	}
}

// buffers copies what a step may change beside the gradients.
func (s *modelSession) buffers() map[string][]float32 {
	copies := make(map[string][]float32)
	for name, buffer := range s.build.Buffers {
		copies[name] = slices.Clone(buffer)
	}
	return copies
}

func (s *modelSession) restore(buffers map[string][]float32) {
	for name, buffer := range s.build.Buffers {
		copy(buffer, buffers[name])
	}
}

func checkPlanRepeats(t *testing.T, s *modelSession) {
	again, err := s.Plan(t.Context(), s.options, s.build.Task)
	if err != nil {
		t.Fatalf("Plan again: %v", err)
	}
	if got, want := fmt.Sprint(again), fmt.Sprint(s.plan); got != want {
		t.Errorf("Plan again = %s, want %s", got, want)
	}
	if !slices.ContainsFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Quantize }) {
		t.Errorf("no parameter of %v is marked Quantize: a quantizer has nothing to do", s.plan.Parameters)
	}
}

func checkBuildRepeats(t *testing.T, s *modelSession) {
	for name, values := range s.copied(value) {
		if i := slices.IndexFunc(values, func(v float32) bool { return v != v }); i >= 0 {
			t.Errorf("element %d of %s starts as NaN", i, name)
		}
	}
	again := buildModel(t, s.open, s.options, s.build.Task)
	sameTensors(t, "starting values of the same seed", again.copied(value), s.copied(value))
}

func checkStepRepeats(t *testing.T, s *modelSession) {
	buffers, values, quantizedBefore := s.buffers(), s.copied(value), s.copied(quantized)
	first := s.step(t)
	grads := s.copied(grad)
	sameTensors(t, "values after Step", s.copied(value), values)
	sameTensors(t, "quantized values after Step", s.copied(quantized), quantizedBefore)
	s.restore(buffers)
	if again := s.step(t); again != first {
		t.Errorf("the same step again = %+v, want %+v", again, first)
	}
	sameTensors(t, "gradients of the same step", s.copied(grad), grads)
	fresh := buildModel(t, s.open, s.options, s.build.Task)
	if again := fresh.step(t); again != first {
		t.Errorf("the same step in a fresh session = %+v, want %+v", again, first)
	}
	norm := 0.0
	for _, g := range grads {
		for _, v := range g {
			norm += float64(v) * float64(v)
		}
	}
	if norm = math.Sqrt(norm); math.Abs(norm-first.GradNorm) > 1e-4*(norm+1e-6) {
		t.Errorf("GradNorm = %v, want %v, the norm over all Grad", first.GradNorm, norm)
	}
}

func checkGradOverwritten(t *testing.T, s *modelSession) {
	for _, p := range s.build.Parameters {
		for i := range p.Grad {
			p.Grad[i] = float32(math.NaN())
		}
	}
	s.step(t)
	for name, g := range s.copied(grad) {
		if i := slices.IndexFunc(g, func(v float32) bool { return v != v }); i >= 0 {
			t.Errorf("gradient %d of %s was NaN before Step and still is, want every one overwritten", i, name)
		}
	}
}

// checkUsesQuantized sees that the latent weights take no part in a step.
func checkUsesQuantized(t *testing.T, s *modelSession) {
	buffers := s.buffers()
	want := s.step(t)
	for _, p := range s.build.Parameters {
		if p.Quantized == nil {
			continue
		}
		for i := range p.Value {
			p.Value[i] = float32(math.NaN())
		}
	}
	s.restore(buffers)
	if got := s.step(t); got != want {
		t.Errorf("with latent weights of NaN, Step = %+v, want %+v as computed from the quantized ones", got, want)
	}
}

func checkUpdate(t *testing.T, s *modelSession) {
	ctx := t.Context()
	s.step(t)
	values, quantizedBefore, grads := s.copied(value), s.copied(quantized), s.copied(grad)
	if err := s.Update(ctx, model.Update{Number: 1, LearningRate: 0}); err != nil {
		t.Fatalf("Update: %v", err)
	}
	sameTensors(t, "values after an update of learning rate 0", s.copied(value), values)
	for _, p := range s.build.Parameters { // as if that update had not been
		clear(p.Moment1)
		clear(p.Moment2)
	}
	s.step(t)
	if err := s.Update(ctx, model.Update{Number: 1, LearningRate: 0.01}); err != nil {
		t.Fatalf("Update: %v", err)
	}
	sameTensors(t, "quantized values after Update", s.copied(quantized), quantizedBefore)
	for name, after := range s.copied(value) {
		for i, g := range grads[name] {
			// Adam's first step is the learning rate against the gradient's sign.
			if moved := float64(after[i] - values[name][i]); math.Abs(float64(g)) > 1e-3 && moved*float64(g) >= 0 {
				t.Errorf("element %d of %s moved by %v on a gradient of %v, want it to move against it", i, name, moved, g)
				return
			}
		}
	}
}

func checkEvaluate(t *testing.T, s *modelSession) {
	values, grads := s.copied(value), s.copied(grad)
	s.calibrate(t)
	targets := s.build.Task.Batch
	if s.build.Task.Kind == model.LanguageModel {
		targets *= s.build.Task.Length
	}
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers := s.buffers()
		first := s.evaluate(t, model.Evaluate{Statistics: statistics})
		if first.Count != targets {
			t.Errorf("Evaluate with %s statistics: Count = %d, want %d", statistics, first.Count, targets)
		}
		s.restore(buffers)
		if again := s.evaluate(t, model.Evaluate{Statistics: statistics}); again != first {
			t.Errorf("Evaluate with %s statistics again = %+v, want %+v", statistics, again, first)
		}
		s.restore(buffers)
	}
	sameTensors(t, "values after Evaluate", s.copied(value), values)
	sameTensors(t, "gradients after Evaluate", s.copied(grad), grads)
}

// checkPartialBatch sees that the sequences beyond Valid count for nothing.
func checkPartialBatch(t *testing.T, s *modelSession) {
	s.calibrate(t)
	const valid = 2
	buffers := s.buffers()
	want := s.evaluate(t, model.Evaluate{Statistics: model.Frozen, Valid: valid})
	if per := s.build.Task.Length; s.build.Task.Kind == model.LanguageModel && want.Count != valid*per {
		t.Errorf("Count of %d valid sequences = %d, want %d", valid, want.Count, valid*per)
	}
	s.disturbBeyond(valid)
	s.restore(buffers)
	if got := s.evaluate(t, model.Evaluate{Statistics: model.Frozen, Valid: valid}); got != want {
		t.Errorf("with other sequences beyond the valid ones, Evaluate = %+v, want %+v", got, want)
	}
}

// disturbBeyond changes the inputs and targets of the sequences from the given one on.
func (s *modelSession) disturbBeyond(valid int) {
	task := s.build.Task
	for name, tensor := range s.build.Inputs.Int32 {
		size := task.InputSize
		if name == "targets" {
			size = task.OutputSize
		}
		for i := range tensor {
			if i%task.Batch >= valid {
				tensor[i] = (tensor[i] + 1) % int32(size)
			}
		}
	}
	for _, tensor := range s.build.Inputs.Float32 {
		for i := range tensor {
			if i/task.InputSize%task.Batch >= valid {
				tensor[i] = 1 - tensor[i]
			}
		}
	}
}

// checkExport sees that the exported graph, run by the reference interpreter,
// computes what the model does with frozen statistics.
func checkExport(t *testing.T, s *modelSession) {
	s.calibrate(t)
	want := s.evaluate(t, model.Evaluate{Statistics: model.Frozen})
	graph, err := s.Export(t.Context())
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	weights := s.deployedWeights(t, graph)
	reference, err := stepgraph.NewReference(graph, weights)
	if err != nil {
		t.Fatalf("the exported graph and the weights it names: %v", err)
	}
	if got := s.referenceLoss(t, reference); math.Abs(got-want.LossSum) > 1e-3*math.Abs(want.LossSum) {
		t.Errorf("the exported graph's loss sums to %v, want %v as Evaluate(Frozen) says", got, want.LossSum)
	}
	recurrent := slices.ContainsFunc(graph.Nodes, func(n stepgraph.Node) bool { return n.Recurrent })
	if !recurrent {
		t.Errorf("no node of the graph is marked Recurrent: there is nothing to count in the recurrent memory column")
	}
}

// deployedWeights packs, in full precision, the parameters that the graph names.
func (s *modelSession) deployedWeights(t *testing.T, graph stepgraph.Graph) map[string]packed.Matrix {
	t.Helper()
	weights := make(map[string]packed.Matrix)
	for _, node := range graph.Nodes {
		if node.Weight == "" {
			continue
		}
		i := slices.IndexFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
		if i < 0 {
			names := slices.Sorted(maps.Keys(s.build.Parameters))
			t.Fatalf("node %s wants the weight %q, which is none of the parameters %q", node.Name, node.Weight, names)
		}
		p := s.plan.Parameters[i]
		if len(p.Shape) != 2 {
			t.Fatalf("node %s wants the weight %q of the shape %v, want [outputs, inputs]", node.Name, node.Weight, p.Shape)
		}
		if node.Recurrent != p.Quantize {
			t.Errorf("node %s is marked Recurrent: %t, but its weight %q Quantize: %t", node.Name, node.Recurrent, p.Name, p.Quantize)
		}
		matrix, err := packed.FromValues(s.build.Parameters[p.Name].Value, p.Shape[0], p.Shape[1])
		if err != nil {
			t.Fatalf("pack %s: %v", p.Name, err)
		}
		weights[p.Name] = matrix
	}
	return weights
}

// referenceLoss is the sum over all targets of −ln softmax(logits)[target].
func (s *modelSession) referenceLoss(t *testing.T, reference *stepgraph.Reference) float64 {
	t.Helper()
	task, sum := s.build.Task, 0.0
	targets := s.build.Inputs.Int32["targets"]
	for b := range task.Batch {
		if task.Kind == model.LanguageModel {
			tokens := make([]int32, task.Length)
			for i := range tokens {
				tokens[i] = s.build.Inputs.Int32["inputs"][i*task.Batch+b]
			}
			logits, err := reference.Tokens(tokens)
			if err != nil {
				t.Fatalf("run the exported graph: %v", err)
			}
			for i := range tokens {
				sum += surprise(logits[i*task.OutputSize:(i+1)*task.OutputSize], targets[i*task.Batch+b])
			}
			continue
		}
		var features []float32
		for i := range task.Length {
			row := (i*task.Batch + b) * task.InputSize
			features = append(features, s.build.Inputs.Float32["inputs"][row:row+task.InputSize]...)
		}
		logits, err := reference.Dense(features)
		if err != nil {
			t.Fatalf("run the exported graph: %v", err)
		}
		sum += surprise(logits[(task.Length-1)*task.OutputSize:], targets[b])
	}
	return sum
}

func surprise(logits []float64, target int32) float64 {
	largest, sum := slices.Max(logits), 0.0
	for _, logit := range logits {
		sum += math.Exp(logit - largest)
	}
	return math.Log(sum) + largest - logits[target]
}
