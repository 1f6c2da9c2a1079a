package backendrpc_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"bittern/internal/backendrpc"
	"bittern/internal/filled"
	"bittern/internal/loopback"
	"bittern/internal/null"
	backendv1 "bittern/internal/wire/bittern/backend/v1"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// recorder records the arguments of each call, and answers with every field set.
type recorder struct {
	explain plugins.Values
	deploy  backend.Deploy
	cost    backend.CostRequest
	execute backend.Execute
	fail    error
}

func (r *recorder) Describe(context.Context) (plugins.Description, error) {
	return filled.New[plugins.Description](), r.fail
}

func (r *recorder) Explain(_ context.Context, options plugins.Values) (backend.Explanation, error) {
	r.explain = options
	return filled.New[backend.Explanation](), r.fail
}

func (r *recorder) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	r.deploy = request
	return filled.New[backend.Deployed](), r.fail
}

func (r *recorder) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	r.cost = request
	return filled.New[backend.Cost](), r.fail
}

func (r *recorder) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	r.execute = copied(request)
	for i := range request.Outputs {
		request.Outputs[i] = float32(i) + 0.25
	}
	return filled.New[network.Score](), r.fail
}

// copied returns a copy that stays valid after the call, when the tensors of the request are
// gone.
func copied(e backend.Execute) backend.Execute {
	e.Batch.Int32, e.Batch.Float32 = maps.Clone(e.Batch.Int32), maps.Clone(e.Batch.Float32)
	for name, values := range e.Batch.Int32 {
		e.Batch.Int32[name] = slices.Clone(values)
	}
	for name, values := range e.Batch.Float32 {
		e.Batch.Float32[name] = slices.Clone(values)
	}
	e.Batch.Fresh, e.Batch.Targets, e.Outputs = slices.Clone(e.Batch.Fresh), slices.Clone(e.Batch.Targets), slices.Clone(e.Outputs)
	return e
}

// connect puts the arenas into a folder of this test, whose path it returns.
func connect(t *testing.T, r *recorder) (backendrpc.Client, string) {
	t.Helper()
	folder := t.TempDir()
	var client backendrpc.Client
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) {
		server := backendrpc.Register(registrar, r)
		t.Cleanup(func() {
			if err := errors.Join(client.Close(), server.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	client = backendrpc.NewClient(conn, folder)
	return client, folder
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s crossed the border changed (−want +got):\n%s", what, diff)
	}
}

func files(t *testing.T, folder string) int {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestEverythingCrosses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := &recorder{}
	client, folder := connect(t, r)

	description, err := client.Describe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the description", description, filled.New[plugins.Description]())

	for range 3 { // each deployment replaces the one before
		deployed, err := client.Deploy(ctx, filled.New[backend.Deploy]())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "what Deploy answers", deployed, filled.New[backend.Deployed]())
		same(t, "Deploy", r.deploy, filled.New[backend.Deploy]())
	}
	if got := files(t, folder); got != 1 {
		t.Errorf("after three deployments there are %d arenas, want 1", got)
	}

	cost, err := client.Cost(ctx, filled.New[backend.CostRequest]())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Cost", r.cost, filled.New[backend.CostRequest]())
	same(t, "the cost", cost, filled.New[backend.Cost]())

	execute := filled.New[backend.Execute]()
	score, err := client.Execute(ctx, execute)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Execute", r.execute, filled.New[backend.Execute]())
	same(t, "the score", score, filled.New[network.Score]())
	same(t, "the outputs", execute.Outputs, []float32{0.25, 1.25, 2.25})
	silent := filled.New[backend.Execute]()
	silent.Outputs, silent.Batch.Fresh = nil, nil
	if _, err := client.Execute(ctx, silent); err != nil {
		t.Fatal(err)
	}
	same(t, "Execute without outputs", r.execute, silent)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if got := files(t, folder); got != 0 {
		t.Errorf("after Close there are %d arenas, want none", got)
	}
}

func TestUnknownQuantitiesStayUnknown(t *testing.T) {
	t.Parallel()
	server := &empty{}
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { backendrpc.Register(registrar, server) })
	cost, err := backendrpc.NewClient(conn, t.TempDir()).Cost(t.Context(), backend.CostRequest{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a cost that says nothing", cost, backend.Cost{})
}

type empty struct{ recorder }

func (*empty) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	return backend.Cost{}, nil
}

func TestRefusalsCrossAsThemselvesAndLeaveNothing(t *testing.T) {
	t.Parallel()
	r := &recorder{fail: &backend.ErrUnsupported{Reason: "no attention unit"}}
	client, folder := connect(t, r)
	_, err := client.Deploy(t.Context(), filled.New[backend.Deploy]())
	_, executing := client.Execute(t.Context(), filled.New[backend.Execute]())
	for call, err := range map[string]error{"Deploy": err, "Execute": executing} {
		if refusal, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || refusal.Reason != "no attention unit" {
			t.Errorf("%s = %v, want the refusal that the backend gave", call, err)
		}
	}
	if got := files(t, folder); got != 0 {
		t.Errorf("after refusals there are %d arenas, want none", got)
	}
}

// A request that makes no sense is an error, and crashes nothing.
func TestEmptyRequestsAreErrors(t *testing.T) {
	t.Parallel()
	conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) {
		server := backendrpc.Register(registrar, null.NewBackend())
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	remote := backendv1.NewBackendClient(conn)
	if _, err := remote.Deploy(t.Context(), &backendv1.DeployRequest{}); err == nil {
		t.Error("Deploy of nothing: no error")
	}
	if _, err := remote.Execute(t.Context(), &backendv1.ExecuteRequest{}); err == nil {
		t.Error("Execute of nothing: no error")
	}
}
