package modelrpc_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/filled"
	"bittern/internal/loopback"
	"bittern/internal/modelrpc"
	"bittern/internal/wire"
	modelv1 "bittern/internal/wire/bittern/model/v1"
	networkv1 "bittern/internal/wire/bittern/network/v1"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// recorder records the arguments of each call, and answers with every field set.
type recorder struct {
	options  plugins.Values
	shape    network.Shape
	build    model.Build
	step     model.Step
	update   model.Update
	evaluate model.Evaluate
}

func (r *recorder) Describe(context.Context) (plugins.Description, error) {
	return filled.New[plugins.Description](), nil
}

func (r *recorder) Plan(_ context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	r.options, r.shape = options, shape
	return filled.New[model.Plan](), nil
}

func (r *recorder) Build(_ context.Context, request model.Build) error {
	r.build = request
	return nil
}

func (r *recorder) Step(_ context.Context, request model.Step) (model.StepResult, error) {
	r.step = request
	return filled.New[model.StepResult](), nil
}

func (r *recorder) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	r.update = request
	return filled.New[model.UpdateResult](), nil
}

func (r *recorder) Evaluate(_ context.Context, request model.Evaluate) (network.Score, error) {
	r.evaluate = request
	return filled.New[network.Score](), nil
}

func (r *recorder) Export(context.Context) (network.Network, error) {
	return filled.New[network.Network](), nil
}

// shape sets every property of a shape.
var shape = network.Shape{
	Inputs: []network.Input{
		{Name: "text", Role: network.Tokens, Stream: "words", Size: 8},
		{Name: "pixels", Role: network.Features, Stream: "image", Size: 3},
		{Name: "lengths", Role: network.Lengths, Stream: "words", Size: 1},
		{Name: "choices", Role: network.Candidates, Size: 4},
	},
	Steps: map[string]int{"words": 6, "image": 5}, Sequences: 2, Classes: 4, Targets: "words", Carried: true,
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s crossed the border changed (−want +got):\n%s", what, diff)
	}
}

func share[T arena.Element](t *testing.T, shared *arena.Arena, slice []T) []T {
	t.Helper()
	moved, err := arena.Make[T](shared, len(slice))
	if err != nil {
		t.Fatal(err)
	}
	copy(moved, slice)
	return moved
}

func TestEverythingCrosses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) {
		server := modelrpc.Register(registrar, r)
		t.Cleanup(func() {
			if err := errors.Join(server.Close(), shared.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	client := modelrpc.NewClient(conn, shared)

	description, err := client.Describe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the description", description, filled.New[plugins.Description]())

	options := filled.New[plugins.Values]()
	plan, err := client.Plan(ctx, options, shape)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Plan's options", r.options, options)
	same(t, "the shape", r.shape, shape)
	same(t, "the plan", plan, filled.New[model.Plan]())

	build := filled.New[model.Build]()
	build.Shape = shape
	if build.Batch, err = shape.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return arena.Make[int32](shared, dims...) },
		func(_ string, dims []int) ([]float32, error) { return arena.Make[float32](shared, dims...) }); err != nil {
		t.Fatal(err)
	}
	build.Batch.Int32["text"][5], build.Batch.Float32["pixels"][29] = 7, 0.5
	build.Batch.Fresh[1], build.Batch.Targets[9] = 1, -1
	first := true
	for name, p := range build.Parameters {
		p.Value, p.Grad = share(t, shared, p.Value), share(t, shared, p.Grad)
		p.Quantized, p.Moment1, p.Moment2 = share(t, shared, p.Quantized), share(t, shared, p.Moment1), share(t, shared, p.Moment2)
		if first { // a parameter that is not quantized has none of these under SGD
			p.Quantized, p.Moment1, p.Moment2 = nil, nil, nil
		}
		build.Parameters[name], first = p, false
	}
	for name, buffer := range build.Buffers {
		build.Buffers[name] = share(t, shared, buffer)
	}
	if err := client.Build(ctx, build); err != nil {
		t.Fatal(err)
	}
	same(t, "Build", r.build, build)

	result, err := client.Step(ctx, filled.New[model.Step]())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Step", r.step, filled.New[model.Step]())
	same(t, "Step's result", result, filled.New[model.StepResult]())

	update, err := client.Update(ctx, filled.New[model.Update]())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Update", r.update, filled.New[model.Update]())
	same(t, "Update's result", update, filled.New[model.UpdateResult]())

	score, err := client.Evaluate(ctx, filled.New[model.Evaluate]())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Evaluate", r.evaluate, filled.New[model.Evaluate]())
	same(t, "the score", score, filled.New[network.Score]())

	exported, err := client.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the network", exported, filled.New[network.Network]())
}

func TestBuildNamesTheTensorOutsideTheArena(t *testing.T) {
	t.Parallel()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	client := modelrpc.NewClient(nil, shared)
	outside := []float32{1, 2}
	for want, build := range map[string]model.Build{
		"build the model: parameter W: Grad: ": {Parameters: map[string]model.Tensors{"W": {Grad: outside}}},
		"build the model: buffer mean: ":       {Buffers: map[string][]float32{"mean": outside}},
		"build the model: input pixels: ":      {Batch: network.Batch{Float32: map[string][]float32{"pixels": outside}}},
		"build the model: targets: ":           {Batch: network.Batch{Targets: []int32{1}}},
	} {
		err := client.Build(t.Context(), build)
		if !errors.Is(err, arena.ErrOutside) || err.Error() != want+arena.ErrOutside.Error() {
			t.Errorf("Build = %v, want %s%v", err, want, arena.ErrOutside)
		}
	}
}

// A request that makes no sense is an error, and crashes nothing.
func TestServerRefusesShapesAndBatchesThatAreNone(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) {
		server := modelrpc.Register(registrar, r)
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	remote := modelv1.NewModelClient(conn)
	sound := wire.EncodeShape(shape)
	endless := wire.EncodeShape(shape)
	endless.Steps["words"] = math.MaxInt64
	for want, s := range map[string]*networkv1.Shape{
		"0 sequences":           nil,
		"more than 2147483647 ": endless,
	} {
		if _, err := remote.Plan(t.Context(), &modelv1.PlanRequest{Shape: s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Plan = %v, want an error that says %q", err, want)
		}
		if _, err := remote.Build(t.Context(), &modelv1.BuildRequest{Shape: s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build = %v, want an error that says %q", err, want)
		}
	}
	for want, b := range map[string]*networkv1.Batch{
		"the batch has 0 sequences where 2 are expected": nil,
		"the batch has 0 steps":                          {Sequences: 2},
		"the tensor text has 0 elements":                 {Sequences: 2, Steps: sound.Steps},
	} {
		if _, err := remote.Build(t.Context(), &modelv1.BuildRequest{Shape: sound, Batch: b}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build = %v, want an error that says %q", err, want)
		}
	}
	if r.build.Batch.Sequences != 0 || r.shape.Sequences != 0 {
		t.Errorf("the model was called with the shape %v and the batch %v, want no call", r.shape, r.build.Batch)
	}
}
