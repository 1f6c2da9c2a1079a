package plugintest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/backend"
	"bittern/plugins/host"
	"bittern/plugins/internal/backendrpc"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph/sample"
)

// Backend holds a backend against the contract, once with its default options
// and once with each of the given options.
func Backend(t *testing.T, create func() backend.Backend, options ...plugins.Values) {
	t.Helper()
	backendContract.run(t, withDefaults(options),
		way[backend.Backend]{"in process", func(*testing.T, *arena.Arena) backend.Backend { return create() }},
		way[backend.Backend]{"over gRPC", func(t *testing.T, _ *arena.Arena) backend.Backend {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = backendrpc.Register(registrar, create()) })
			closeAfter(t, session)
			client := backendrpc.NewClient(conn, "")
			closeAfter(t, client)
			return client
		}})
}

// BackendProcess holds an executable, or a built-in, against the contract.
func BackendProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) {
	t.Helper()
	backendContract.run(t, withDefaults(options), way[backend.Backend]{"in its own process", func(t *testing.T, _ *arena.Arena) backend.Backend {
		process, err := catalogue.Backend(t.Context(), name, host.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Backend
	}})
}

// backendNetworks are what is deployed: odd sizes, each width of weight that the
// first suite has, token and dense inputs.
var backendNetworks = map[string]sample.LSTM{
	"binary":         {Units: 5, Inputs: 7, Outputs: 7, Steps: 4, Bits: 1, Levels: sample.Binary, Seed: 1},
	"ternary":        {Units: 17, Inputs: 9, Outputs: 9, Steps: 6, Bits: 2, Levels: sample.Ternary, Seed: 2},
	"ternary by row": {Units: 3, Inputs: 4, Outputs: 4, Steps: 3, Bits: 2, Levels: sample.Ternary, PerRow: true, Seed: 3},
	"full precision": {Units: 9, Inputs: 5, Outputs: 5, Steps: 5, Bits: packed.FullPrecision, Seed: 4},
	"dense inputs":   {Units: 8, Inputs: 3, Dense: true, Outputs: 2, Steps: 5, Bits: 1, Levels: sample.Binary, Seed: 5},
}

var backendContract = contract[backend.Backend]{
	kind:   plugins.KindBackend,
	traits: []string{backend.TraitTimed},
	wrap:   checked.Backend,
	configure: func(ctx context.Context, b backend.Backend, options plugins.Values) error {
		graph, weights := backendNetworks["binary"].Build()
		_, err := b.Deploy(ctx, backend.Deploy{Options: options, Graph: graph, Weights: weights})
		return err
	},
	check: func(t *testing.T, open opener[backend.Backend], options plugins.Values) {
		for name, network := range backendNetworks {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				checkDeployment(t, open, options, network)
			})
		}
	},
}

func checkDeployment(t *testing.T, open opener[backend.Backend], options plugins.Values, network sample.LSTM) {
	b := open(t, newArena(t))
	_, judge := describe(t, plugins.KindBackend, b)
	whole := checked.Backend(b, judge)
	graph, weights := network.Build()
	_, err := whole.Deploy(t.Context(), backend.Deploy{Options: options, Graph: graph, Weights: weights})
	if unsupported(t, "Deploy", err) {
		return
	}
	checkCost(t, whole, network, weights)
	checkExecute(t, whole, network)
}

// unsupported fails the test for any error but one that says, with a reason,
// that the request is not served.
func unsupported(t *testing.T, call string, err error) bool {
	t.Helper()
	if err == nil {
		return false
	}
	refusal, ok := errors.AsType[*backend.ErrUnsupported](err)
	if !ok {
		t.Fatalf("%s: %v", call, err)
	}
	if refusal.Reason == "" {
		t.Errorf("%s is not supported, but no reason is given", call)
	}
	t.Logf("%s: %v", call, refusal)
	return true
}

// checkCost sees that each quantity is there or missing for a reason, and that
// substitutions name what is substituted. That quantities
// are finite and not negative is checked on the way (package checked).
func checkCost(t *testing.T, b backend.Backend, network sample.LSTM, weights map[string]packed.Matrix) {
	t.Helper()
	cost, err := b.Cost(t.Context(), backend.CostRequest{Length: network.Steps + 2})
	if unsupported(t, "Cost", err) {
		return
	}
	given := map[string]bool{
		"cycles": cost.Cycles != nil, "seconds": cost.Seconds != nil, "energy": len(cost.Energy) > 0,
		"area": cost.Area != nil, "memory": len(cost.Memory) > 0,
	}
	for quantity, there := range given {
		if reason := cost.Missing[quantity]; there == (reason != "") {
			t.Errorf("Cost: %s given: %t, reason for missing: %q; want one of the two", quantity, there, reason)
		}
	}
	for quantity := range cost.Missing {
		if _, known := given[quantity]; !known {
			t.Errorf("Cost: Missing names %q, want one of cycles, seconds, energy, area and memory", quantity)
		}
	}
	if cost.Measured && cost.N < 1 {
		t.Errorf("Cost: Measured with N = %d, want the number of timed sequences", cost.N)
	}
	if cost.Measured && cost.Seconds != nil && (cost.SecondsLow == nil || cost.SecondsHigh == nil) {
		t.Errorf("Cost: Measured without the quartiles of Seconds, want SecondsLow and SecondsHigh")
	}
	for _, s := range cost.Substitutions {
		if m, deployed := weights[s.Weight]; !deployed || s.From != m.Format() || s.To == "" || s.To == s.From || s.Reason == "" {
			t.Errorf("Cost: substitution %+v, want a deployed weight, what it was deployed as, another thing that it is on this machine, and the reason", s)
		}
	}
	for name, parts := range map[string][]backend.Part{"energy": cost.Energy, "memory": cost.Memory} {
		if slices.ContainsFunc(parts, func(p backend.Part) bool { return p.Name == "" }) {
			t.Errorf("Cost: a part of the %s has no name: %v", name, parts)
		}
	}
}

// checkExecute sees that outputs repeat, and that a sequence's outputs depend on
// that sequence alone: each starts from the initial state.
func checkExecute(t *testing.T, b backend.Backend, network sample.LSTM) {
	t.Helper()
	const sequences = 3
	length := network.Steps + 2 // beyond the tables, whose last row then goes on
	execute := backend.Execute{Sequences: sequences, Length: length, Outputs: make([]float32, sequences*length*network.Outputs)}
	random := rand.New(rand.NewPCG(network.Seed, 0))
	for range sequences * length {
		if !network.Dense {
			execute.Tokens = append(execute.Tokens, random.Int32N(int32(network.Inputs)))
			continue
		}
		for range network.Inputs {
			execute.Dense = append(execute.Dense, random.Float32())
		}
	}
	if unsupported(t, "Execute", b.Execute(t.Context(), execute)) {
		return
	}
	want := slices.Clone(execute.Outputs)
	if err := b.Execute(t.Context(), execute); err != nil {
		t.Fatalf("Execute again: %v", err)
	}
	if i := difference(execute.Outputs, want); i >= 0 {
		t.Errorf("Execute again: output %d = %v, want %v as before", i, execute.Outputs[i], want[i])
	}
	last := sequences - 1
	alone := backend.Execute{Sequences: 1, Length: length, Outputs: make([]float32, length*network.Outputs)}
	if network.Dense {
		alone.Dense = execute.Dense[last*length*network.Inputs:]
	} else {
		alone.Tokens = execute.Tokens[last*length:]
	}
	if err := b.Execute(t.Context(), alone); err != nil {
		t.Fatalf("Execute one sequence: %v", err)
	}
	if i := difference(alone.Outputs, want[last*length*network.Outputs:]); i >= 0 {
		t.Errorf("the last sequence alone: output %d = %v, want %v as among the others", i, alone.Outputs[i], want[last*length*network.Outputs+i])
	}
}
