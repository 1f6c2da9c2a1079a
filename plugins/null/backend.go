package null

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/backend"
)

// NewBackend returns a machine that costs nothing and gives out zeros, the
// logits of a network that tells no symbol from another.
func NewBackend() backend.Backend { return nullBackend{} }

type nullBackend struct{}

func (nullBackend) Describe(context.Context) (plugins.Description, error) {
	return describe(plugins.KindBackend, "costs nothing, gives out zeros; measures the harness's own cost"), nil
}

func (nullBackend) Deploy(context.Context, backend.Deploy) (backend.Deployed, error) {
	return backend.Deployed{}, nil
}

func (nullBackend) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	const reason = "there is no machine behind the null backend"
	zero := 0.0
	return backend.Cost{
		Cycles: &zero, Seconds: &zero,
		Missing: map[string]string{"energy": reason, "area": reason, "memory": reason},
	}, nil
}

func (nullBackend) Execute(_ context.Context, request backend.Execute) error {
	clear(request.Outputs)
	return nil
}
