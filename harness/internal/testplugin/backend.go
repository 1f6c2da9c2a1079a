package testplugin

import (
	"context"
	"math"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// oracle runs networks in float64. A value costs a cycle.
type oracle struct {
	reference *network.Reference
	network   network.Network
	fault     fault
}

func (*oracle) Describe(context.Context) (plugins.Description, error) {
	return description(plugins.KindBackend, "oracle", faults("kill", "exit", "hang", "panic", "nan"))
}

func (*oracle) Explain(context.Context, plugins.Values) (backend.Explanation, error) {
	return backend.Explanation{
		Calibration: []backend.Residual{{Machine: "Delphi", Quantity: "answers", Unit: "1/s", Published: 2, BottomUp: 1, Fitted: 2, InFit: true, Source: "made up"}},
		Notes:       []string{"a cycle for every value"},
	}, nil
}

func (b *oracle) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	b.network, b.fault = request.Network, newFault(request.Options)
	var err error
	b.reference, err = network.NewReference(request.Network, request.Weights)
	return backend.Deployed{Tolerance: new(1e-6)}, err
}

func (b *oracle) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	cycles := 0.0
	for _, stage := range b.network.Stages {
		steps := 1
		if stream := b.network.Along(stage); stream != "" {
			steps = request.Steps[stream]
		}
		for _, n := range stage.Graph.Nodes {
			cycles += float64(steps * n.Size)
		}
	}
	seconds := cycles / 1e9
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds,
		Energy: []backend.Part{{Name: "all", Value: seconds}}, Memory: []backend.Part{{Name: "all", Value: 1}},
		Missing:       map[string]string{"area": "an oracle takes no room"},
		Substitutions: []backend.Substitution{{Weight: "W", From: "2 levels, 1 bit", To: "float32", Reason: "an oracle reads values"}},
	}, nil
}

// Execute returns no outputs, because the harness asks for none.
func (b *oracle) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	if request.Outputs != nil {
		return network.Score{}, &backend.ErrUnsupported{Reason: "an oracle tells scores alone"}
	}
	nonsense := b.fault.strike(0)
	score, err := b.reference.Score(request.Batch)
	if nonsense {
		score.LossSum = math.NaN()
	}
	return score, err
}

// mute refuses everything as unsupported.
type mute struct{}

func (*mute) Describe(context.Context) (plugins.Description, error) {
	return description(plugins.KindBackend, "mute", nil)
}

func (*mute) Explain(context.Context, plugins.Values) (backend.Explanation, error) {
	return backend.Explanation{Notes: []string{"it has no words"}}, nil
}

func (*mute) Deploy(context.Context, backend.Deploy) (backend.Deployed, error) {
	return backend.Deployed{}, &backend.ErrUnsupported{Reason: "it has no words"}
}

func (*mute) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	return backend.Cost{}, &backend.ErrUnsupported{Reason: "it has no words"}
}

func (*mute) Execute(context.Context, backend.Execute) (network.Score, error) {
	return network.Score{}, &backend.ErrUnsupported{Reason: "it has no words"}
}
