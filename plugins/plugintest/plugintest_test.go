package plugintest_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/null"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

// faultVariable names the fault that TestFaulty has, in a process of its own:
// there its failure is what is wanted.
const faultVariable = "BITTERN_TEST_FAULT"

// TestTheKitFindsFaults runs the kit on implementations with one fault each and
// sees that it fails, with the message that belongs to the fault. The null
// plugins, which the faulty ones are made of, pass (package null).
func TestTheKitFindsFaults(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for fault, f := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			c := exec.Command(self, "-test.run=^TestFaulty$")
			c.Env = append(os.Environ(), faultVariable+"="+fault)
			output, err := c.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the kit on a plugin with this fault: %v, want it to fail; output:\n%s", err, output)
			}
			if !strings.Contains(string(output), f.message) {
				t.Errorf("the kit's output has no %q:\n%s", f.message, output)
			}
		})
	}
}

func TestFaulty(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		t.Skip("runs in a process of its own, started by TestTheKitFindsFaults")
	}
	faults[fault].run(t)
}

var faults = map[string]struct {
	message string
	run     func(*testing.T)
}{
	"no summary": {"want both given", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Summary = "" }
	})},
	"an unknown trait": {`the trait "bakward" is not one of`, onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{"bakward"} }
	})},
	"a default out of bounds": {"the defaults do not satisfy", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) {
			d.Options = []plugins.Option{{Name: "scale", Type: plugins.Float, Default: "2", Max: 1, Doc: "a scale"}}
		}
	})},
	"an element left out": {"is NaN, from the latent", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			copy(w.Quantized[1:], w.Latent[1:])
		}
	})},
	"draws that depend on the calls before": {"the same draw after other calls", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			fill(w.Quantized, float32(q.calls))
		}
	})},
	"draws that ignore the seed": {"differ between steps: true, between seeds: false", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, draw quantizer.Draw) {
			fill(w.Quantized, float32(draw.Step))
		}
	})},
	"draws that ignore the name": {"want them keyed by the name", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, draw quantizer.Draw) {
			fill(w.Quantized, float32(draw.Step+draw.Seed))
		}
	})},
	"weights that depend on each other": {"quantized alone: element 0", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			fill(w.Quantized, float32(len(q.weights)))
		}
	})},
	"a latent overwritten": {"latent element 0 of one", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			copy(w.Quantized, w.Latent)
			w.Latent[0]++
		}
	})},
	"NaN made sound": {"no error and the quantized weight 0", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			for i, v := range w.Latent {
				w.Quantized[i] = v
				if v != v || math.IsInf(float64(v), 0) {
					w.Quantized[i] = 0
				}
			}
		}
	})},
	"deployed weights that were not trained": {"want 0 as quantized", onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) { fill(w.Quantized, 0) }
	})},
	"levels that were not trained": {"which is none of the deployed levels", onQuantizer(func(q *faultyQuantizer) {
		q.freeze = func(w quantizer.Weight) quantizer.Frozen {
			return quantizer.Frozen{Name: w.Name, Bits: 1, Codes: make([]uint16, len(w.Latent)), Levels: []float32{-9, 9}}
		}
	})},
	"states that start otherwise": {"initialised in a fresh session: element 0 of the state scale of one", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitInitialise} }
		q.states = true
		q.initialise = func(w quantizer.Weight) { w.State["scale"].Value[0] = float32(starts.Add(1)) }
	})},
	"a latent that is initialised": {"latent element 0 of one = 1 after Initialise", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitInitialise} }
		q.initialise = func(w quantizer.Weight) { w.Latent[0] = 1 }
	})},
	"a trained state without a gradient": {"nothing fills its gradient without the trait", onQuantizer(func(q *faultyQuantizer) { q.states, q.trained = true, true })},
	"a gradient of a state left out": {"element 0 of the gradient of the state scale of one is NaN", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitBackward} }
		q.states, q.trained = true, true
	})},
	"a projection without an end": {"Latent projected twice", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitProject} }
		q.project = func(w quantizer.Weight) { w.Latent[0] /= 2 }
	})},

	"gradients accumulated":       {"still is, want every one overwritten", onModel(func(m *faultyModel) { m.accumulate = true })},
	"a loss that differs":         {"the same step again", onModel(func(m *faultyModel) { m.drift = true })},
	"a norm that is not the norm": {"GradNorm of gradients clipped to 0 = 5, want 0", onModel(func(m *faultyModel) { m.norm = 5 })},
	"a norm as of Step":           {"GradNorm of gradients clipped to 0 = 1, want 3", onModel(func(m *faultyModel) { m.norm, m.gradient = -2, 1 })},
	"a count of all targets":      {"over 15 targets, 0 of them correct, where the batch has 5 targets", onModel(func(m *faultyModel) { m.countAll = true })},
	"filling in the loss":         {"with batch statistics, the scores of parts of a batch's targets", onModel(func(m *faultyModel) { m.scoreFilling = true })},
	"filling left out of a batch's statistics": {"with batch statistics, the scores of parts of a batch's targets", onModel(func(m *faultyModel) {
		m.leaveOut = model.Batch
	})},
	"filling left out of a calibration": {"buffers calibrated with a batch of which some sequences have no target: element 0 of mean", onModel(func(m *faultyModel) {
		m.leaveOut = model.Calibrate
	})},
	"a network that computes otherwise": {"batch 0: the exported network scores", onModel(func(m *faultyModel) { m.wrongLoss = true })},
	"a weight that is no parameter":     {`wants the weight "lost"`, onModel(func(m *faultyModel) { m.rename = "lost" })},
	"a network for another task":        {"the network gives out logits once a sequence, and the task", onModel(func(m *faultyModel) { m.once = true })},
	"all tasks refused":                 {"the model serves no task", onModel(func(m *faultyModel) { m.refuse = true })},
	"a task refused that is meant": {"features is refused, want it served: give it tokens", func(t *testing.T) {
		plugintest.Model(t, func() model.Model { return &toy{} }).Want(t, "question")
	}},
	"a task served that is not meant": {"lengths is served, want it refused", func(t *testing.T) {
		plugintest.Model(t, func() model.Model { return &toy{} }).Want(t, "features", "lengths", "question")
	}},

	"a mean over all elements of targets": {"the losses of steps on parts of a batch's targets", onToy(toy{meanOfAll: true})},
	"gradients of a mean over all":        {"the gradients of steps on parts of a batch's targets", onToy(toy{gradientOfAll: true})},
	"filling that is read":                {"with batch statistics and other values in the steps beyond lengths", onToy(toy{readFilling: true})},
	"evaluation that starts fresh always": {"batch 1: the exported network scores", onToy(toy{evaluateFresh: true})},
	"evaluation that goes on always":      {"Evaluate of fresh sequences after another batch", onToy(toy{evaluateOn: true})},
	"steps that start fresh always":       {"whether sequences start fresh or go on", onToy(toy{stepFresh: true})},
	"steps that go on always":             {"a step on fresh sequences after another step", onToy(toy{stepOn: true})},
	"one mark for all sequences":          {"Evaluate of sequence 1, where sequence 0 alone starts fresh", onToy(toy{firstMark: true})},
	"a learned state left out":            {"parameters beyond the plan counted", onToy(toy{planOnly: true})},
	"a learned state's gradient lost":     {"to the gradient of a parameter beyond the plan, want it left alone", onToy(toy{stepAll: true})},
	"a learned state overwritten":         {"made 8 of a parameter beyond the plan that was 7", onToy(toy{buildAll: true})},
	"a state that is in no buffer":        {"a step that goes on from the buffers of another session", onToy(toy{hidden: true})},
	"one state for steps and evaluation":  {"Evaluate that goes on after a step between", onToy(toy{shared: true})},
	"one state for evaluation and steps":  {"Step that goes on after an evaluation between", onToy(toy{shared: true})},
	"values of the session before":        {"the same step in a fresh session", onToy(toy{sticky: true})},
	"a long sequence that is none":        {"as of one long sequence", onToy(toy{fade: true})},
	"latent weights used in a step":       {"with latent weights of NaN", onModel(func(m *faultyModel) { m.useLatent = true })},
	"an update of learning rate 0":        {"values after an update of learning rate 0", onModel(func(m *faultyModel) { m.moveAlways = true })},
	"quantized values that get lost":      {"quantized values after Step", onModel(func(m *faultyModel) { m.spoilQuantized = true })},
	"starting values that are a draw":     {"starting values of the same seed", onModel(func(m *faultyModel) { m.randomStart = true })},
	"nothing to quantize":                 {"is marked Quantize: a quantizer has nothing to do", onModel(func(m *faultyModel) { m.quantizeNothing = true })},
	"costs without a reason":              {`Cost: area given: false, reason for missing: ""`, onBackend(&faultyBackend{forget: "area"})},
	"a time without its spread":           {"Cost: Measured without the quartiles", onBackend(&faultyBackend{timed: true})},
	"a substitution of nothing":           {`Cost: substitution {Weight:lost From:float32`, onBackend(&faultyBackend{substitute: "lost"})},
	"a substitution by itself":            {`Cost: substitution {Weight:softmax.W From:float32`, onBackend(&faultyBackend{substitute: "softmax.W"})},
	"a cost of no steps":                  {"Cost of a sequence without steps: no error", onBackend(&faultyBackend{costAll: true})},
	"cycles of a step":                    {"the cycles of a sequence of twice the steps", onBackend(&faultyBackend{cycles: 3})},
	"outputs that differ":                 {"Execute again: output 0", onBackend(&faultyBackend{drift: true})},
	"outputs left out":                    {"is NaN", onBackend(&faultyBackend{writeNothing: true})},
	"sequences that are not their own":    {"sequence 0 alone: output 0", onBackend(&faultyBackend{mix: true})},
	"a refusal without a reason":          {"no reason is given", onBackend(&faultyBackend{refuse: true})},
	"a claim without arithmetic":          {"from those of exact arithmetic in the root mean square", onBackend(&faultyBackend{claim: true})},
	"a network that lacks a weight":       {"Deploy of a network that lacks a weight: no error", onBackend(&faultyBackend{deployAll: true})},
	"a batch that is none":                {"Execute of a batch that is empty: no error", onBackend(&faultyBackend{executeAll: true})},
	"a program refused that is meant": {"attention is refused, want it served: it has no exponential", func(t *testing.T) {
		plugintest.Backend(t, func() backend.Backend { return &exact{noSoftmax: true} }).Want(t)
	}},
	"a program served that is not meant": {"attention is served, want it refused", func(t *testing.T) {
		plugintest.Backend(t, func() backend.Backend { return &exact{} }).Want(t, "attention")
	}},

	"a state that is forgotten":            {"sequences that go on give other outputs than one long sequence", onExact(exact{forget: true})},
	"a state that is kept":                 {"Execute again: output 0", onExact(exact{keep: true})},
	"one mark for all sequences, deployed": {"a sequence that goes on among fresh ones: output 0", onExact(exact{firstMark: true})},
	"a reverse scan that goes forward":     {"from those of exact arithmetic", onExact(exact{change: func(n *network.Network) { n.Stages[1].Reverse = false }})},
	"a graph of the first step's table": {"from those of exact arithmetic", onExact(exact{change: func(n *network.Network) {
		for _, s := range n.Stages {
			for i := range s.Graph.Nodes {
				node := &s.Graph.Nodes[i]
				for _, table := range []*stepgraph.Table{&node.Scale, &node.Shift} {
					if table.Rows > 1 {
						*table = stepgraph.Table{Rows: 1, Values: table.Values[:node.Size]}
					}
				}
			}
		}
	}})},
	"filling that is read, deployed": {"with other values in the steps beyond lengths", onExact(exact{readFilling: true})},
	"outputs of filling":             {"want 0 beyond its length", onExact(exact{fillOutputs: true})},
	"a score of all classes":         {"as its outputs say", onExact(exact{allClasses: true})},
	"a score that needs outputs":     {"Execute without outputs", onExact(exact{needOutputs: true})},
	"a score that is not exact":      {"of exact arithmetic; the tolerance is 1e-06", onExact(exact{sharpen: true})},
}

func onQuantizer(spoil func(*faultyQuantizer)) func(*testing.T) {
	return func(t *testing.T) {
		plugintest.Quantizer(t, func() quantizer.Quantizer {
			q := &faultyQuantizer{Quantizer: null.NewQuantizer()}
			spoil(q)
			return q
		})
	}
}

func onModel(spoil func(*faultyModel)) func(*testing.T) {
	return func(t *testing.T) {
		plugintest.Model(t, func() model.Model {
			m := &faultyModel{Model: null.NewModel()}
			spoil(m)
			return m
		}, plugins.Values{"units": "2"})
	}
}

func onToy(faulty toy) func(*testing.T) {
	return func(t *testing.T) {
		plugintest.Model(t, func() model.Model {
			m := faulty
			return &m
		})
	}
}

func onExact(faulty exact) func(*testing.T) {
	return func(t *testing.T) {
		plugintest.Backend(t, func() backend.Backend {
			b := faulty
			return &b
		})
	}
}

func onBackend(b *faultyBackend) func(*testing.T) {
	return func(t *testing.T) {
		plugintest.Backend(t, func() backend.Backend {
			faulty := *b
			faulty.Backend = null.NewBackend()
			return &faulty
		})
	}
}

func fill(values []float32, value float32) {
	for i := range values {
		values[i] = value
	}
}

// faultyQuantizer is the null quantizer but for what is set.
type faultyQuantizer struct {
	quantizer.Quantizer
	describe func(*plugins.Description)
	write    func(*faultyQuantizer, quantizer.Weight, quantizer.Draw)
	freeze   func(quantizer.Weight) quantizer.Frozen
	project  func(quantizer.Weight)
	states   bool // a state "scale" of each weight
	trained  bool

	initialise func(quantizer.Weight)
	calls      int
	weights    []quantizer.Weight
}

func (q *faultyQuantizer) Plan(_ context.Context, _ plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	var states []quantizer.State
	for _, w := range weights {
		if q.states {
			states = append(states, quantizer.State{Name: "scale", Weight: w.Name, Shape: []int{1}, Trained: q.trained})
		}
	}
	return states, nil
}

func (q *faultyQuantizer) Initialise(context.Context) error {
	for _, w := range q.weights {
		q.initialise(w)
	}
	return nil
}

func (q *faultyQuantizer) Describe(ctx context.Context) (plugins.Description, error) {
	d, err := q.Quantizer.Describe(ctx)
	if q.describe != nil {
		q.describe(&d)
	}
	return d, err
}

func (q *faultyQuantizer) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return q.Quantizer.Open(ctx, options, weights)
}

func (q *faultyQuantizer) Quantize(ctx context.Context, draw quantizer.Draw) error {
	q.calls++
	if q.write == nil {
		return q.Quantizer.Quantize(ctx, draw)
	}
	for _, w := range q.weights {
		q.write(q, w, draw)
	}
	return nil
}

func (q *faultyQuantizer) Project(context.Context) error {
	for _, w := range q.weights {
		q.project(w)
	}
	return nil
}

func (q *faultyQuantizer) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	if q.freeze == nil {
		return q.Quantizer.Freeze(ctx, draw)
	}
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		frozen = append(frozen, q.freeze(w))
	}
	return frozen, nil
}

// faultyModel is the null model but for what is set.
type faultyModel struct {
	model.Model
	accumulate, drift, countAll, wrongLoss, refuse, once bool
	useLatent, moveAlways, spoilQuantized, randomStart   bool
	quantizeNothing                                      bool
	scoreFilling                                         bool
	leaveOut                                             model.Statistics // that are taken over sequences with a target only
	norm                                                 float64
	gradient                                             float32 // that Step leaves
	rename                                               string
	steps                                                int
	build                                                model.Build
}

// starts counts the models built, which is the draw of randomStart.
var starts atomic.Int32

func (m *faultyModel) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	if m.refuse {
		return model.Plan{}, plugins.Problemf("use another model")
	}
	plan, err := m.Model.Plan(ctx, options, shape)
	for i := range plan.Parameters {
		plan.Parameters[i].Quantize = plan.Parameters[i].Quantize && !m.quantizeNothing
	}
	plan.Buffers = append(plan.Buffers, model.Buffer{Name: "mean", Shape: []int{1}})
	return plan, err
}

func (m *faultyModel) Build(ctx context.Context, build model.Build) error {
	m.build = build
	err := m.Model.Build(ctx, build)
	if m.randomStart {
		build.Parameters["output"].Value[0] = float32(starts.Add(1))
	}
	return err
}

func (m *faultyModel) Step(ctx context.Context, step model.Step) (model.StepResult, error) {
	before := slices.Clone(m.build.Parameters["recurrent"].Grad)
	result, err := m.Model.Step(ctx, step)
	m.steps++
	if m.accumulate {
		copy(m.build.Parameters["recurrent"].Grad, before)
	}
	if m.drift {
		result.Loss += float64(m.steps)
	}
	if m.useLatent && m.build.Parameters["recurrent"].Value[0] != 0 {
		result.Loss++
	}
	if m.spoilQuantized {
		m.build.Parameters["recurrent"].Quantized[0]++
	}
	m.build.Parameters["output"].Grad[0] = m.gradient
	return result, err
}

func (m *faultyModel) Update(ctx context.Context, update model.Update) (model.UpdateResult, error) {
	if m.moveAlways {
		m.build.Parameters["output"].Value[0]++
	}
	result, err := m.Model.Update(ctx, update)
	result.GradNorm += m.norm
	return result, err
}

func (m *faultyModel) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	score, err := m.Model.Evaluate(ctx, request)
	b := m.build.Batch
	scored := 0
	for i := range b.Sequences {
		if b.Scored(i) {
			scored++
		}
	}
	if m.countAll {
		score.Count = len(b.Targets)
		score.Correct = 0
	}
	if m.scoreFilling {
		score.LossSum *= float64(b.Sequences) / float64(scored)
	}
	switch mean := m.mean(m.leaveOut == request.Statistics); request.Statistics {
	case model.Batch:
		score.LossSum += float64(score.Count) * mean * mean
	case model.Calibrate:
		m.build.Buffers["mean"][0] = float32(mean)
	}
	if m.wrongLoss {
		score.LossSum *= 2
	}
	return score, err
}

// mean is a statistic of the first steps of all sequences, or of those that have a
// target only.
func (m *faultyModel) mean(scored bool) float64 {
	b, in := m.build.Batch, m.build.Shape.Inputs[0]
	sum, n := 0.0, 0
	for i := range b.Sequences {
		if scored && !b.Scored(i) {
			continue
		}
		n++
		if in.Role == network.Features {
			sum += float64(b.Float32[in.Name][i*in.Size])
		} else {
			sum += float64(b.Int32[in.Name][i])
		}
	}
	return sum / float64(n)
}

func (m *faultyModel) Export(ctx context.Context) (network.Network, error) {
	exported, err := m.Model.Export(ctx)
	if m.rename != "" {
		exported.Stages[0].Graph.Nodes[0].Weight = m.rename
	}
	exported.Stages[0].Last = exported.Stages[0].Last || m.once
	return exported, err
}

// faultyBackend is the null backend but for what is set.
type faultyBackend struct {
	backend.Backend
	forget, substitute               string
	drift, writeNothing, mix, refuse bool
	timed                            bool
	claim, deployAll, executeAll     bool
	costAll                          bool
	cycles                           float64
	calls                            int
}

func (b *faultyBackend) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	cost, err := b.Backend.Cost(ctx, request)
	if b.costAll {
		err = nil
	}
	delete(cost.Missing, b.forget)
	if b.timed {
		cost.Measured, cost.N, cost.Seconds = true, 1, new(1.0)
		delete(cost.Missing, "seconds")
	}
	if b.cycles > 0 {
		cost.Cycles = &b.cycles
	}
	if b.substitute != "" {
		cost.Substitutions = []backend.Substitution{{Weight: b.substitute, From: "float32", To: "float32", Reason: "none"}}
	}
	return cost, err
}

func (b *faultyBackend) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	deployed, err := b.Backend.Deploy(ctx, request)
	if b.claim {
		deployed.Tolerance = new(1e-4)
	}
	if b.deployAll {
		err = nil
	}
	return deployed, err
}

func (b *faultyBackend) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	b.calls++
	if b.refuse {
		return network.Score{}, &backend.ErrUnsupported{}
	}
	outputs := request.Outputs
	if b.writeNothing {
		request.Outputs = nil
	}
	score, err := b.Backend.Execute(ctx, request)
	switch {
	case b.executeAll:
		return score, nil
	case b.drift:
		fill(outputs, float32(b.calls))
	case b.mix:
		fill(outputs, float32(request.Batch.Sequences))
	}
	return score, err
}
