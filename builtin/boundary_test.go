package builtin_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"bittern/builtin"
	"bittern/harness/cli"
	"bittern/harness/experiment"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/models/lstm"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
	"bittern/quantizers/stochasticternary"
)

// TestMain lets the host start this binary as its built-in plugins.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr, builtin.Plugins()))
	}
	if os.Getenv(doomedVariable) != "" {
		doomed()
	}
	os.Exit(m.Run())
}

// noise is a task of one batch, which is all that a step's time depends on.
type noise struct {
	task.Task
	shape network.Shape
}

func (n noise) Shape() network.Shape              { return n.shape }
func (n noise) Training(uint64, int) task.Batches { return n }
func (noise) Len() int                            { return 1 }
func (noise) Group(int) string                    { return "" }

func (n noise) Fill(_ int, b network.Batch) error {
	for i := range b.Targets {
		b.Int32["text"][i] = int32(i * 7 % n.shape.Classes)
		b.Targets[i] = int32(i * 5 % n.shape.Classes)
	}
	return nil
}

// symbols is the shape of a task that predicts the next of some symbols.
func symbols(vocabulary, batch, length int) network.Shape {
	return network.Shape{
		Inputs:    []network.Input{{Name: "text", Role: network.Tokens, Stream: "text", Size: vocabulary}},
		Steps:     map[string]int{"text": length},
		Sequences: batch, Classes: vocabulary, Targets: "text",
	}
}

// BenchmarkBoundary is the same training step with the quantizer and the model
// in this process and in processes of their own. The difference, at most 1 %
// of a step by design, is what the process border costs.
func BenchmarkBoundary(b *testing.B) {
	for _, units := range []int{512, 1000} {
		spec := &experiment.Spec{
			Seed: 1, Threads: 2, Task: suite.Task{Training: suite.Training{Optimiser: model.Adam, LearningRate: 0.002}},
			Model:     describe(b, "lstm", plugins.Values{"units": strconv.Itoa(units)}, lstm.New().Describe),
			Quantizer: describe(b, "stochastic-ternary", nil, stochasticternary.New().Describe),
		}
		shape := symbols(87, 64, 100)
		b.Run("units="+strconv.Itoa(units)+"/border=none", func(b *testing.B) { inProcess(b, spec, noise{shape: shape}) })
		b.Run("units="+strconv.Itoa(units)+"/border=process", func(b *testing.B) { ownProcesses(b, spec, noise{shape: shape}) })
	}
}

func describe(b *testing.B, name string, options plugins.Values, describe func(context.Context) (plugins.Description, error)) experiment.Plugin {
	description, err := describe(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	resolved, err := plugins.Resolve(name, description.Options, options)
	if err != nil {
		b.Fatal(err)
	}
	return experiment.Plugin{Label: name, Name: name, Options: resolved, Description: description}
}

func ownProcesses(b *testing.B, spec *experiment.Spec, t noise) {
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
	}
	catalogue, err := host.NewCatalogue(ids, "")
	if err != nil {
		b.Fatal(err)
	}
	trial, err := experiment.OpenTrial(b.Context(), catalogue, 0, spec, t)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := trial.Close(); err != nil {
			b.Error(err)
		}
	}()
	for b.Loop() {
		if _, err := trial.Step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func inProcess(b *testing.B, spec *experiment.Spec, t noise) {
	ctx := b.Context()
	m, q := lstm.New(), stochasticternary.New()
	plan, err := m.Plan(ctx, spec.Model.Options, t.shape)
	if err != nil {
		b.Fatal(err)
	}
	build := model.Build{
		Options: spec.Model.Options, Shape: t.shape, Seed: spec.Seed, Threads: spec.Threads, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{},
		Batch: t.shape.Allocate(),
	}
	var weights []quantizer.Weight
	for _, p := range plan.Parameters {
		n := volume(p.Shape)
		tensors := model.Tensors{Value: make([]float32, n), Grad: make([]float32, n), Moment1: make([]float32, n), Moment2: make([]float32, n)}
		if p.Quantize {
			tensors.Quantized = make([]float32, n)
			weights = append(weights, quantizer.Weight{
				Shape:  quantizer.Shape{Name: p.Name, Rows: p.Shape[0], Cols: p.Shape[1]},
				Latent: tensors.Value, Quantized: tensors.Quantized, Grad: tensors.Grad, Moment2: tensors.Moment2,
			})
		}
		build.Parameters[p.Name] = tensors
	}
	for _, buffer := range plan.Buffers {
		build.Buffers[buffer.Name] = make([]float32, volume(buffer.Shape))
	}
	if err := m.Build(ctx, build); err != nil {
		b.Fatal(err)
	}
	if err := q.Open(ctx, spec.Quantizer.Options, weights); err != nil {
		b.Fatal(err)
	}
	var step uint64
	for b.Loop() {
		if err := t.Fill(0, build.Batch); err != nil {
			b.Fatal(err)
		}
		if err := q.Quantize(ctx, quantizer.Draw{Seed: spec.Seed, Step: step}); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Step(ctx, model.Step{Number: step}); err != nil {
			b.Fatal(err)
		}
		step++
		if _, err := m.Update(ctx, model.Update{Number: step, LearningRate: 0.002}); err != nil {
			b.Fatal(err)
		}
		if err := q.Project(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
