package backendrpc_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/internal/backendrpc"
	"bittern/plugins/internal/filled"
	"bittern/plugins/internal/loopback"
)

// recorder notes what it is called with and answers with every field set.
type recorder struct {
	deploy  backend.Deploy
	cost    backend.CostRequest
	execute backend.Execute
	fail    error
}

func (r *recorder) Describe(context.Context) (plugins.Description, error) {
	return filled.New[plugins.Description](), r.fail
}

func (r *recorder) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	r.deploy = request
	return filled.New[backend.Deployed](), r.fail
}

func (r *recorder) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	r.cost = request
	return filled.New[backend.Cost](), r.fail
}

func (r *recorder) Execute(_ context.Context, request backend.Execute) error {
	r.execute = backend.Execute{
		Sequences: request.Sequences, Length: request.Length,
		Tokens: append([]int32(nil), request.Tokens...), Dense: append([]float32(nil), request.Dense...),
		Outputs: append([]float32(nil), request.Outputs...),
	}
	for i := range request.Outputs {
		request.Outputs[i] = float32(i) + 0.25
	}
	return r.fail
}

// connect keeps the arenas in a folder of the test's own.
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

	for range 3 { // each deployment takes the place of the one before
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
	if err := client.Execute(ctx, execute); err != nil {
		t.Fatal(err)
	}
	same(t, "Execute", r.execute, filled.New[backend.Execute]())
	same(t, "the outputs", execute.Outputs, []float32{0.25, 1.25, 2.25})
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
	for call, err := range map[string]error{
		"Deploy":  err,
		"Execute": client.Execute(t.Context(), filled.New[backend.Execute]()),
	} {
		if refusal, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || refusal.Reason != "no attention unit" {
			t.Errorf("%s = %v, want the refusal that the backend gave", call, err)
		}
	}
	if got := files(t, folder); got != 0 {
		t.Errorf("after refusals there are %d arenas, want none", got)
	}
}
