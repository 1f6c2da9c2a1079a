package testplugin

import (
	"context"
	"math"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/stepgraph"
)

// oracle runs networks in float64 and costs a cycle for every value.
type oracle struct {
	reference *stepgraph.Reference
	graph     stepgraph.Graph
	fault     fault
}

func (*oracle) Describe(context.Context) (plugins.Description, error) {
	return description(plugins.KindBackend, "oracle", faults("kill", "exit", "hang", "panic", "nan"))
}

func (b *oracle) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	b.graph, b.fault = request.Graph, newFault(request.Options)
	var err error
	b.reference, err = stepgraph.NewReference(request.Graph, request.Weights)
	return backend.Deployed{Tolerance: new(1e-6)}, err
}

func (b *oracle) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	cycles := 0.0
	for _, n := range b.graph.Nodes {
		cycles += float64(n.Size)
	}
	seconds := cycles / 1e9
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds,
		Energy: []backend.Part{{Name: "all", Value: seconds}}, Memory: []backend.Part{{Name: "all", Value: 1}},
		Missing:       map[string]string{"area": "an oracle takes no room"},
		Substitutions: []backend.Substitution{{Weight: "W", From: "2 levels, 1 bit", To: "float32", Reason: "an oracle reads values"}},
	}, nil
}

func (b *oracle) Execute(_ context.Context, request backend.Execute) error {
	nonsense := b.fault.strike(0)
	size := len(request.Outputs) / (request.Sequences * request.Length)
	for s := range request.Sequences {
		outputs, err := b.reference.Tokens(request.Tokens[s*request.Length:][:request.Length])
		if err != nil {
			return err
		}
		for i, v := range outputs {
			request.Outputs[s*request.Length*size+i] = float32(v)
		}
	}
	if nonsense {
		request.Outputs[0] = float32(math.NaN())
	}
	return nil
}

// mute supports nothing.
type mute struct{}

func (*mute) Describe(context.Context) (plugins.Description, error) {
	return description(plugins.KindBackend, "mute", nil)
}

func (*mute) Deploy(context.Context, backend.Deploy) (backend.Deployed, error) {
	return backend.Deployed{}, &backend.ErrUnsupported{Reason: "it has no words"}
}

func (*mute) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	return backend.Cost{}, &backend.ErrUnsupported{Reason: "it has no words"}
}

func (*mute) Execute(context.Context, backend.Execute) error {
	return &backend.ErrUnsupported{Reason: "it has no words"}
}
