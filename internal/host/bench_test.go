package host_test

import (
	"fmt"
	"testing"

	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/quantizer"
)

// BenchmarkCall measures a call that does nothing, there and back, for each kind.
func BenchmarkCall(b *testing.B) {
	catalogue := newCatalogue(b, "")
	ctx := b.Context()
	q, err := catalogue.Quantizer(ctx, null.Name, host.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	closeAfter(b, q)
	m, err := catalogue.Model(ctx, null.Name, host.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	closeAfter(b, m)
	be, err := catalogue.Backend(ctx, null.Name, host.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	closeAfter(b, be)
	program := sample.Programs()[0]
	if _, err := be.Deploy(ctx, backend.Deploy{Network: program.Network, Weights: program.Weights}); err != nil {
		b.Fatal(err)
	}
	calls := []struct {
		kind plugins.Kind
		call func() error
	}{
		{plugins.KindQuantizer, func() error { _, err := q.Plan(ctx, nil, nil); return err }},
		{plugins.KindModel, func() error { _, err := m.Update(ctx, model.Update{}); return err }},
		{plugins.KindBackend, func() error { _, err := be.Cost(ctx, backend.CostRequest{Steps: program.Steps}); return err }},
	}
	for _, c := range calls {
		b.Run(string(c.kind), func(b *testing.B) {
			for b.Loop() {
				if err := c.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTrainingStepBoundary makes the calls of one training step (Quantize, Step, Update) on
// null plugins, in this process and in processes of their own. The difference is what the
// process border costs a step. A step of the paper's networks takes hundreds of milliseconds.
func BenchmarkTrainingStepBoundary(b *testing.B) {
	for _, units := range []int{512, 1000} {
		b.Run(fmt.Sprintf("units=%d/in-process", units), func(b *testing.B) {
			benchmarkStep(b, units, newArena(b), null.NewQuantizer(), null.NewModel())
		})
		b.Run(fmt.Sprintf("units=%d/own-processes", units), func(b *testing.B) {
			shared := newArena(b)
			catalogue := newCatalogue(b, "")
			q, err := catalogue.Quantizer(b.Context(), null.Name, host.Settings{Arena: shared})
			if err != nil {
				b.Fatal(err)
			}
			closeAfter(b, q)
			m, err := catalogue.Model(b.Context(), null.Name, host.Settings{Arena: shared})
			if err != nil {
				b.Fatal(err)
			}
			closeAfter(b, m)
			benchmarkStep(b, units, shared, q, m)
		})
	}
}

func benchmarkStep(b *testing.B, units int, shared *arena.Arena, q quantizer.Quantizer, m model.Model) {
	ctx := b.Context()
	shape := network.Shape{
		Inputs: []network.Input{{Name: "symbols", Role: network.Tokens, Stream: "symbols", Size: 87}},
		Steps:  map[string]int{"symbols": 100}, Sequences: 64, Classes: 87, Targets: "symbols",
	}
	options := plugins.Values{"units": fmt.Sprint(units)}
	plan, err := m.Plan(ctx, options, shape)
	if err != nil {
		b.Fatal(err)
	}
	batch, err := shape.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return arena.Make[int32](shared, dims...) },
		func(_ string, dims []int) ([]float32, error) { return arena.Make[float32](shared, dims...) })
	if err != nil {
		b.Fatal(err)
	}
	build := model.Build{Options: options, Shape: shape, Parameters: map[string]model.Tensors{}, Batch: batch}
	var weights []quantizer.Weight
	for _, p := range plan.Parameters {
		w := newWeight(b, shared, p.Shape[0], p.Shape[1])
		w.Name = p.Name
		tensors := model.Tensors{Value: w.Latent, Grad: w.Grad}
		if p.Quantize {
			tensors.Quantized = w.Quantized
			weights = append(weights, w)
		}
		build.Parameters[p.Name] = tensors
	}
	if err := m.Build(ctx, build); err != nil {
		b.Fatal(err)
	}
	if err := q.Open(ctx, nil, weights); err != nil {
		b.Fatal(err)
	}
	var step uint64
	for b.Loop() {
		if err := q.Quantize(ctx, quantizer.Draw{Step: step}); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Step(ctx, model.Step{Number: step}); err != nil {
			b.Fatal(err)
		}
		step++
		if _, err := m.Update(ctx, model.Update{Number: step}); err != nil {
			b.Fatal(err)
		}
	}
}
