package asic

import (
	"context"
	"errors"
	"fmt"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// integerBits is the option that bounds the integer bits of activations.
const integerBits = "integer-bits"

var options = []plugins.Option{{
	Name: integerBits, Type: plugins.Int, Default: "3", Min: 0, Max: 8,
	Doc: "most integer bits of the 12-bit activations; values known to be smaller take fewer, larger ones saturate",
}}

// version is that of all designs, which compute the same.
const version = "2.1.0"

// New returns the backend of a design.
func New(design Design) backend.Backend { return &simulator{design: design} }

type simulator struct {
	design    Design
	network   network.Network
	program   *datapath.Program // nil before Deploy
	execution datapath.Execution
}

func (s *simulator) Describe(ctx context.Context) (plugins.Description, error) {
	d := s.design
	fact := func(name, format string, args ...any) plugins.Fact {
		return plugins.Fact{Name: name, Value: fmt.Sprintf(format, args...), Source: d.Source}
	}
	return plugins.Description{
		Kind: plugins.KindBackend, Name: d.Name, Version: version, API: plugins.APIVersion,
		Summary: d.Summary,
		Options: options,
		Facts: []plugins.Fact{
			fact("technology", "%s", d.Technology),
			fact("clock", "%.0f MHz", d.Clock/1e6),
			fact("activations", "%d-bit fixed point", datapath.ActivationBits),
			fact("binary column", "%s", d.describe(d.Binary)),
			fact("ternary column", "%s", d.describe(d.Ternary)),
			fact("12-bit column", "%s", d.describe(d.TwelveBit)),
			{Name: "weights", Value: "a pass of the column for each plane of two levels, or of two and 0; two levels of different size take a second accumulator in the units and a second multiplication on the lanes", Source: "assumed"},
			{Name: "elementwise lanes", Value: fmt.Sprint(d.Lanes), Source: "assumed"},
			{Name: "energy table", Value: paperRecalled65nm.name, Source: paperRecalled65nm.about},
		},
	}, ctx.Err()
}

// tolerance bounds what 12-bit arithmetic may change of the mean loss, in nats a
// target. It is four times the most that was seen: 0.008 nats (0.012 BPC), of the
// ternary War & Peace network in reports/results.
const tolerance = 0.032

func (s *simulator) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	if err := ctx.Err(); err != nil {
		return backend.Deployed{}, err
	}
	values, err := plugins.Resolve("backend "+s.design.Name, options, request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	program, err := datapath.Compile(request.Network, request.Weights, values.Int(integerBits))
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("deploying on %s: %w", s.design.Name, err)
	}
	s.network, s.program, s.execution = request.Network, program, program.NewExecution()
	return backend.Deployed{
		Tolerance: new(tolerance),
		// Designs differ in their columns alone, which no number depends on.
		Arithmetic: fmt.Sprintf("asic %s, %s=%d", version, integerBits, values.Int(integerBits)),
	}, nil
}

var errNothingDeployed = errors.New("no network is deployed: call Deploy first")

// Cost is that of each time step, times the steps: every one takes the same work.
func (s *simulator) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	if s.program == nil {
		return backend.Cost{}, errNothingDeployed
	}
	if err := s.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	return newCost(s.design, s.program, request.Steps).report(), ctx.Err()
}

func (s *simulator) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	if s.program == nil {
		return network.Score{}, errNothingDeployed
	}
	return s.execution.Execute(ctx, request)
}
