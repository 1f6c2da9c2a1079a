// Command mac-array is a backend plugin for Bittern: a simulated machine with an array of
// units, each of which multiplies and accumulates two float32 numbers in a cycle.
//
// It runs every network that Bittern has. The outputs are those of exact arithmetic, from
// package network's Reference; what makes it a machine is how it costs:
//
//	cycles = ⌈multiply-accumulates of a step / units⌉, over all steps
//	energy = multiply-accumulates · energy of one
//	memory = packed weights, tables and states
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/sdk"
)

// Bittern starts the plugin as a process; ServeBackend speaks with it.
func main() { sdk.ServeBackend(New()) }

// New returns the backend.
func New() backend.Backend { return &array{} }

// joulesPerMAC are those of a float32 multiplication and an addition in 45 nm, 3.7 pJ and
// 0.9 pJ (Horowitz, ISSCC 2014; recalled, not read again).
const joulesPerMAC = 4.6e-12

// array is the machine, with the network that it has loaded.
type array struct {
	units     int     // multiply-accumulates a cycle
	clock     float64 // cycles a second
	network   network.Network
	weights   map[string]packed.Matrix
	reference *network.Reference // nil before Deploy
}

// Describe says what the plugin is. Bittern shows it to users and checks their options
// against it, so that Deploy gets every option, within its bounds.
func (*array) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindBackend, Name: "mac-array", Version: "1.0.0", API: plugins.APIVersion,
		Summary: "a simulated array of float32 multiply-accumulate units",
		Options: []plugins.Option{
			{Name: "units", Type: plugins.Int, Default: "64", Min: 1, Max: 1 << 16, Doc: "multiply-accumulate units"},
			{Name: "megahertz", Type: plugins.Float, Default: "400", Min: 1, Max: 10000, Role: backend.RoleClock, Doc: "clock"},
		},
		Facts: []plugins.Fact{
			{Name: "energy of a multiply-accumulate", Value: "4.6 pJ", Source: "Horowitz, ISSCC 2014, 45 nm (recalled)"},
		},
	}, nil
}

// Explain says what the figures of Cost are made of.
func (a *array) Explain(_ context.Context, options plugins.Values) (backend.Explanation, error) {
	return backend.Explanation{
		Constants: []backend.Constant{
			{Name: "multiply-accumulate", Value: joulesPerMAC * 1e12, Unit: "pJ", Node: "45 nm", Source: "Horowitz, ISSCC 2014, 45 nm (recalled)"},
			{Name: "units", Value: float64(options.Int("units")), Source: "option"},
			{Name: "clock", Value: options.Float("megahertz"), Unit: "MHz", Source: "option"},
		},
		Formulas: []backend.Formula{
			{Quantity: "cycles", Expression: "⌈multiply-accumulates of a time step / units⌉, at least 1, for each time step"},
			{Quantity: "energy", Expression: "multiply-accumulates · energy of one"},
		},
	}, nil
}

// Deploy loads a network. A machine that cannot run it returns a *backend.ErrUnsupported
// with the reason, which the report shows; this one runs all.
func (a *array) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	reference, err := network.NewReference(request.Network, request.Weights)
	if err != nil {
		return backend.Deployed{}, plugins.Problemf("%v", err)
	}
	a.units, a.clock = request.Options.Int("units"), 1e6*request.Options.Float("megahertz")
	a.network, a.weights, a.reference = request.Network, request.Weights, reference
	// The logits are rounded to float32 at the end, and nothing else is.
	return backend.Deployed{Tolerance: new(1e-5)}, nil
}

var errNothingDeployed = errors.New("no network is deployed: call Deploy first")

// Cost says what one sequence costs. What a machine cannot tell is Missing, with the
// reason: the report shows "n/a" and never 0.
func (a *array) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	if a.reference == nil {
		return backend.Cost{}, errNothingDeployed
	}
	if err := a.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	cycles, macs := 0.0, 0.0
	for _, stage := range a.network.Stages {
		times := 1 // a stage that works along no stream runs once
		if stream := a.network.Along(stage); stream != "" {
			times = request.Steps[stream]
		}
		step := 0
		for _, n := range stage.Graph.MACs() {
			step += n
		}
		macs += float64(times * step)
		cycles += float64(times * max(1, (step+a.units-1)/a.units))
	}
	seconds := cycles / a.clock
	return backend.Cost{
		Cycles: &cycles, Seconds: &seconds,
		Energy:  []backend.Part{{Name: "multiply-accumulates", Value: macs * joulesPerMAC}},
		Memory:  a.memory(),
		Missing: map[string]string{"area": "nobody has laid this array out"},
		Notes:   []string{fmt.Sprintf("%d units; the energy is that of multiply-accumulates alone", a.units)},
	}, nil
}

// memory is what the network takes as this machine stores it: as it was deployed, or Cost
// would list Substitutions.
func (a *array) memory() []backend.Part {
	// What a weight is for, the node that multiplies with it says.
	part := map[string]string{}
	bytes := map[string]float64{}
	for _, stage := range a.network.Stages {
		bytes[backend.PartTables] += float64(stage.Graph.TableBytes())
		bytes[backend.PartState] += float64(stage.Graph.StateBytes())
		for _, node := range stage.Graph.Nodes {
			switch {
			case node.Recurrent:
				part[node.Weight] = backend.PartCodes
			case node.Weight != "":
				part[node.Weight] = "other weights"
			}
		}
	}
	for name, w := range a.weights {
		of := part[name]
		if of == backend.PartCodes && len(w.Planes) == 0 {
			of = backend.PartFloats
		}
		bytes[of] += float64(w.CodeBytes())
		bytes[backend.PartLevels] += float64(w.LevelBytes())
	}
	var parts []backend.Part
	for _, name := range slices.Sorted(maps.Keys(bytes)) {
		parts = append(parts, backend.Part{Name: name, Value: bytes[name]})
	}
	return parts
}

// Execute runs the network over a batch and scores its targets. The Reference carries the
// states of sequences that go on from the batch before.
func (a *array) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	if a.reference == nil {
		return network.Score{}, errNothingDeployed
	}
	if err := request.Validate(a.network); err != nil {
		return network.Score{}, err
	}
	exact, err := a.reference.Run(request.Batch)
	if err != nil {
		return network.Score{}, err
	}
	logits := request.Outputs // which only some requests ask for
	if logits == nil {
		logits = make([]float32, len(exact))
	}
	for i, v := range exact {
		logits[i] = float32(v)
	}
	var score network.Score
	batch, classes := request.Batch, a.network.Classes()
	for i, target := range batch.Targets {
		score.Target(logits[i*classes:][:classes], target, batch.Candidates(a.network.Inputs, i%batch.Sequences))
	}
	return score, nil
}
