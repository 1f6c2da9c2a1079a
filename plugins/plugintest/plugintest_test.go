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
	"a projection without an end": {"Latent projected twice", onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitProject} }
		q.project = func(w quantizer.Weight) { w.Latent[0] /= 2 }
	})},

	"gradients accumulated":       {"still is, want every one overwritten", onModel(func(m *faultyModel) { m.accumulate = true })},
	"a loss that differs":         {"the same step again", onModel(func(m *faultyModel) { m.drift = true })},
	"a norm that is not the norm": {"GradNorm of gradients clipped to 0 = 5, want 0", onModel(func(m *faultyModel) { m.norm = 5 })},
	"a norm as of Step":           {"GradNorm of gradients clipped to 0 = 1, want 3", onModel(func(m *faultyModel) { m.norm, m.gradient = 1, 1 })},
	"a count of all sequences":    {"Count of 2 valid sequences = 15, want 10", onModel(func(m *faultyModel) { m.ignoreValid = true })},
	"filling in the loss":         {"with batch statistics, the scores of a batch's sequences one by one", onModel(func(m *faultyModel) { m.scoreFilling = true })},
	"filling left out of a batch's statistics": {"with batch statistics, the scores of a batch's sequences one by one", onModel(func(m *faultyModel) {
		m.leaveOut = model.Batch
	})},
	"filling left out of a calibration": {"buffers calibrated with a batch of which some sequences count: element 0 of mean", onModel(func(m *faultyModel) {
		m.leaveOut = model.Calibrate
	})},
	"a graph that computes otherwise":  {"the exported graph's loss sums to", onModel(func(m *faultyModel) { m.wrongLoss = true })},
	"a weight that is no parameter":    {`wants the weight "lost"`, onModel(func(m *faultyModel) { m.rename = "lost" })},
	"a task kind refused, both kinds":  {"the model serves no kind of task", onModel(func(m *faultyModel) { m.refuse = true })},
	"latent weights used in a step":    {"with latent weights of NaN", onModel(func(m *faultyModel) { m.useLatent = true })},
	"an update of learning rate 0":     {"values after an update of learning rate 0", onModel(func(m *faultyModel) { m.moveAlways = true })},
	"quantized values that get lost":   {"quantized values after Step", onModel(func(m *faultyModel) { m.spoilQuantized = true })},
	"starting values that are a draw":  {"starting values of the same seed", onModel(func(m *faultyModel) { m.randomStart = true })},
	"nothing to quantize":              {"is marked Quantize: a quantizer has nothing to do", onModel(func(m *faultyModel) { m.quantizeNothing = true })},
	"costs without a reason":           {`Cost: area given: false, reason for missing: ""`, onBackend(&faultyBackend{forget: "area"})},
	"a time without its spread":        {"Cost: Measured without the quartiles", onBackend(&faultyBackend{timed: true})},
	"a substitution of nothing":        {`Cost: substitution {Weight:lost From:float32`, onBackend(&faultyBackend{substitute: "lost"})},
	"a substitution by itself":         {`Cost: substitution {Weight:softmax.W From:float32`, onBackend(&faultyBackend{substitute: "softmax.W"})},
	"outputs that differ":              {"Execute again: output 0", onBackend(&faultyBackend{drift: true})},
	"outputs left out":                 {"is NaN", onBackend(&faultyBackend{writeNothing: true})},
	"sequences that are not their own": {"the last sequence alone: output 0", onBackend(&faultyBackend{mix: true})},
	"a refusal without a reason":       {"no reason is given", onBackend(&faultyBackend{refuse: true})},
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
	calls    int
	weights  []quantizer.Weight
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
	accumulate, drift, ignoreValid, wrongLoss, refuse  bool
	useLatent, moveAlways, spoilQuantized, randomStart bool
	quantizeNothing                                    bool
	scoreFilling                                       bool
	leaveOut                                           model.Statistics // that are taken over Valid sequences only
	norm                                               float64
	gradient                                           float32 // that Step leaves
	rename                                             string
	steps                                              int
	build                                              model.Build
}

// starts counts the models built, which is the draw of randomStart.
var starts atomic.Int32

func (m *faultyModel) Plan(ctx context.Context, options plugins.Values, task model.Task) (model.Plan, error) {
	if m.refuse {
		return model.Plan{}, plugins.Problemf("use another model")
	}
	plan, err := m.Model.Plan(ctx, options, task)
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

func (m *faultyModel) Evaluate(ctx context.Context, request model.Evaluate) (model.Evaluation, error) {
	valid := request.Valid
	if m.ignoreValid {
		request.Valid = 0
	}
	evaluation, err := m.Model.Evaluate(ctx, request)
	if m.scoreFilling && valid > 0 {
		evaluation.LossSum *= float64(m.build.Task.Batch) / float64(valid)
	}
	if m.leaveOut != request.Statistics || valid == 0 {
		valid = m.build.Task.Batch
	}
	switch mean := m.meanTarget(valid); request.Statistics {
	case model.Batch:
		evaluation.LossSum += float64(evaluation.Count) * mean * mean
	case model.Calibrate:
		m.build.Buffers["mean"][0] = float32(mean)
	}
	if m.wrongLoss {
		evaluation.LossSum *= 2
	}
	return evaluation, err
}

// meanTarget is a statistic of the first sequences of a batch.
func (m *faultyModel) meanTarget(sequences int) float64 {
	sum := 0
	for i, target := range m.build.Inputs.Int32["targets"] {
		if i%m.build.Task.Batch < sequences {
			sum += int(target)
		}
	}
	return float64(sum) / float64(sequences)
}

func (m *faultyModel) Export(ctx context.Context) (stepgraph.Graph, error) {
	graph, err := m.Model.Export(ctx)
	if m.rename != "" {
		graph.Nodes[0].Weight = m.rename
	}
	return graph, err
}

// faultyBackend is the null backend but for what is set.
type faultyBackend struct {
	backend.Backend
	forget, substitute               string
	drift, writeNothing, mix, refuse bool
	timed                            bool
	calls                            int
}

func (b *faultyBackend) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	cost, err := b.Backend.Cost(ctx, request)
	delete(cost.Missing, b.forget)
	if b.timed {
		cost.Measured, cost.N, cost.Seconds = true, 1, new(1.0)
		delete(cost.Missing, "seconds")
	}
	if b.substitute != "" {
		cost.Substitutions = []backend.Substitution{{Weight: b.substitute, From: "float32", To: "float32", Reason: "none"}}
	}
	return cost, err
}

func (b *faultyBackend) Execute(ctx context.Context, request backend.Execute) error {
	b.calls++
	switch {
	case b.refuse:
		return &backend.ErrUnsupported{}
	case b.writeNothing:
		return nil
	case b.drift:
		fill(request.Outputs, float32(b.calls))
		return nil
	case b.mix:
		fill(request.Outputs, float32(request.Sequences))
		return nil
	}
	return b.Backend.Execute(ctx, request)
}
