package null

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// NewBackend returns a backend that costs nothing and computes nothing: its outputs are zeros,
// with which all classes are equally probable.
func NewBackend() backend.Backend { return &nullBackend{} }

const noMachine = "there is no machine behind the null backend"

type nullBackend struct{ network network.Network }

func (*nullBackend) Describe(context.Context) (plugins.Description, error) {
	return describe(plugins.KindBackend, "costs nothing, gives out zeros; measures the harness's own cost"), nil
}

func (*nullBackend) Explain(_ context.Context, options plugins.Values) (backend.Explanation, error) {
	_, err := plugins.Resolve("the null backend", nil, options)
	return backend.Explanation{Notes: []string{noMachine}}, err
}

func (b *nullBackend) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	if err := request.Network.Validate(request.Weights); err != nil {
		return backend.Deployed{}, plugins.Problemf("%v", err)
	}
	b.network = request.Network
	return backend.Deployed{}, nil
}

func (b *nullBackend) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	if err := b.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	zero := 0.0
	return backend.Cost{
		Cycles: &zero, Seconds: &zero,
		Missing: map[string]string{"energy": noMachine, "area": noMachine, "memory": noMachine},
	}, nil
}

func (b *nullBackend) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	if err := request.Validate(b.network); err != nil {
		return network.Score{}, err
	}
	clear(request.Outputs)
	return zeroLogits(request.Batch, b.network.Inputs, b.network.Classes()), nil
}
