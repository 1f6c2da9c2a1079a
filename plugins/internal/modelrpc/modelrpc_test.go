package modelrpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/filled"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/modelrpc"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// recorder notes what it is called with and answers with every field set.
type recorder struct {
	options  plugins.Values
	task     model.Task
	build    model.Build
	step     model.Step
	update   model.Update
	evaluate model.Evaluate
}

func (r *recorder) Describe(context.Context) (plugins.Description, error) {
	return filled.New[plugins.Description](), nil
}

func (r *recorder) Plan(_ context.Context, options plugins.Values, task model.Task) (model.Plan, error) {
	r.options, r.task = options, task
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

func (r *recorder) Evaluate(_ context.Context, request model.Evaluate) (model.Evaluation, error) {
	r.evaluate = request
	return filled.New[model.Evaluation](), nil
}

func (r *recorder) Export(context.Context) (stepgraph.Graph, error) {
	return filled.New[stepgraph.Graph](), nil
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

	options, task := filled.New[plugins.Values](), filled.New[model.Task]()
	plan, err := client.Plan(ctx, options, task)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Plan's options", r.options, options)
	same(t, "the task", r.task, task)
	same(t, "the plan", plan, filled.New[model.Plan]())

	build := filled.New[model.Build]()
	first := true
	for name, p := range build.Parameters {
		p.Value, p.Grad = share(t, shared, p.Value), share(t, shared, p.Grad)
		p.Quantized, p.Moment1, p.Moment2 = share(t, shared, p.Quantized), share(t, shared, p.Moment1), share(t, shared, p.Moment2)
		if first { // as with a parameter that is not quantized, under SGD
			p.Quantized, p.Moment1, p.Moment2 = nil, nil, nil
		}
		build.Parameters[name], first = p, false
	}
	for name, buffer := range build.Buffers {
		build.Buffers[name] = share(t, shared, buffer)
	}
	for name, input := range build.Inputs.Int32 {
		build.Inputs.Int32[name] = share(t, shared, input)
	}
	for name, input := range build.Inputs.Float32 {
		build.Inputs.Float32[name] = share(t, shared, input)
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

	evaluation, err := client.Evaluate(ctx, filled.New[model.Evaluate]())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Evaluate", r.evaluate, filled.New[model.Evaluate]())
	same(t, "the evaluation", evaluation, filled.New[model.Evaluation]())

	graph, err := client.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the step graph", graph, filled.New[stepgraph.Graph]())
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
		"build the model: input pixels: ":      {Inputs: model.Inputs{Float32: map[string][]float32{"pixels": outside}}},
	} {
		err := client.Build(t.Context(), build)
		if !errors.Is(err, arena.ErrOutside) || err.Error() != want+arena.ErrOutside.Error() {
			t.Errorf("Build = %v, want %s%v", err, want, arena.ErrOutside)
		}
	}
}
