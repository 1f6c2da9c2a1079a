package quantizerrpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/filled"
	"bittern/internal/loopback"
	"bittern/internal/quantizerrpc"
	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// recorder records the arguments of each call, and answers with every field set.
type recorder struct {
	options plugins.Values
	shapes  []quantizer.Shape
	weights []quantizer.Weight
	draws   []quantizer.Draw
	back    quantizer.Backward
	started int
	project int
	fail    error
}

func (r *recorder) Describe(context.Context) (plugins.Description, error) {
	return filled.New[plugins.Description](), r.fail
}

func (r *recorder) Plan(_ context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	r.options, r.shapes = options, weights
	return filled.New[[]quantizer.State](), r.fail
}

func (r *recorder) Open(_ context.Context, options plugins.Values, weights []quantizer.Weight) error {
	if r.fail == nil {
		r.options, r.weights = options, weights
	}
	return r.fail
}

func (r *recorder) Quantize(_ context.Context, draw quantizer.Draw) error {
	r.draws = append(r.draws, draw)
	for _, w := range r.weights {
		copy(w.Quantized, w.Latent)
	}
	return r.fail
}

func (r *recorder) Initialise(context.Context) error {
	r.started++
	return r.fail
}

func (r *recorder) Backward(_ context.Context, request quantizer.Backward) error {
	r.back = request
	for _, w := range r.weights {
		for _, state := range w.State {
			copy(state.Grad, state.Value)
		}
	}
	return r.fail
}

func (r *recorder) Project(context.Context) error {
	r.project++
	return r.fail
}

func (r *recorder) Freeze(_ context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	r.draws = append(r.draws, draw)
	return filled.New[[]quantizer.Frozen](), r.fail
}

func connect(t *testing.T, r *recorder) (quantizer.Quantizer, *arena.Arena) {
	t.Helper()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) {
		server := quantizerrpc.Register(registrar, r)
		t.Cleanup(func() {
			if err := errors.Join(server.Close(), shared.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	return quantizerrpc.NewClient(conn, shared), shared
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s crossed the border changed (−want +got):\n%s", what, diff)
	}
}

// shareWeight replaces a weight's tensors by copies in the arena.
func shareWeight(t *testing.T, shared *arena.Arena, w *quantizer.Weight) {
	t.Helper()
	share := func(slice []float32) []float32 {
		if slice == nil {
			return nil
		}
		moved, err := arena.Make[float32](shared, len(slice))
		if err != nil {
			t.Fatal(err)
		}
		copy(moved, slice)
		return moved
	}
	w.Latent, w.Quantized, w.Grad, w.Moment2 = share(w.Latent), share(w.Quantized), share(w.Grad), share(w.Moment2)
	for name, state := range w.State {
		w.State[name] = quantizer.StateTensors{Value: share(state.Value), Grad: share(state.Grad)}
	}
}

func TestEverythingCrosses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := &recorder{}
	client, shared := connect(t, r)

	description, err := client.Describe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the description", description, filled.New[plugins.Description]())

	options, shapes := filled.New[plugins.Values](), filled.New[[]quantizer.Shape]()
	states, err := client.Plan(ctx, options, shapes)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Plan's options", r.options, options)
	same(t, "Plan's weights", r.shapes, shapes)
	same(t, "the states", states, filled.New[[]quantizer.State]())

	weights := filled.New[[]quantizer.Weight]()
	for i := range weights {
		weights[i].Rows, weights[i].Cols = 1, 3 // the slices have three elements
		shareWeight(t, shared, &weights[i])
	}
	weights[1].Moment2 = nil // an optimiser without second moments has none
	for name, state := range weights[1].State {
		state.Grad = nil // a state that is not trained has none
		weights[1].State[name] = state
	}
	if err := client.Open(ctx, options, weights); err != nil {
		t.Fatal(err)
	}
	same(t, "Open's options", r.options, options)
	same(t, "Open's weights", r.weights, weights)

	draws, back := filled.New[[]quantizer.Draw]()[:2], filled.New[quantizer.Backward]()
	if err := errors.Join(client.Initialise(ctx), client.Quantize(ctx, draws[0]), client.Backward(ctx, back), client.Project(ctx)); err != nil {
		t.Fatal(err)
	}
	frozen, err := client.Freeze(ctx, draws[1])
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the draws", r.draws, draws)
	same(t, "the frozen weights", frozen, filled.New[[]quantizer.Frozen]())
	same(t, "Backward's argument", r.back, back)
	if r.project != 1 || r.started != 1 {
		t.Errorf("Project was called %d times and Initialise %d times, want 1 each", r.project, r.started)
	}
	for name, state := range weights[2].State {
		same(t, "the gradient that Backward wrote of "+name, state.Grad, state.Value)
	}
	same(t, "what Quantize wrote", weights[2].Quantized, weights[2].Latent)
}

func TestAFailedOpenLeavesTheSessionAsItWas(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	client, shared := connect(t, r)
	weight := quantizer.Weight{Shape: quantizer.Shape{Name: "w", Rows: 1, Cols: 3}, Latent: []float32{1, 2, 3}, Quantized: make([]float32, 3)}
	shareWeight(t, shared, &weight)
	if err := client.Open(t.Context(), nil, []quantizer.Weight{weight}); err != nil {
		t.Fatal(err)
	}
	r.fail = plugins.Problemf("no")
	err := client.Open(t.Context(), nil, []quantizer.Weight{weight})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != "no" {
		t.Errorf("Open = %v, want the problem \"no\"", err)
	}
	r.fail = nil
	if err := client.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	same(t, "what Quantize wrote after a failed Open", weight.Quantized, []float32{1, 2, 3})
}
