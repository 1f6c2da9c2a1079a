package plugintest

import (
	"context"
	"errors"
	"io"
	"maps"
	"math"
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
	"bittern/plugins/network/sample"
)

// Backend holds a backend against the contract, once with its default options
// and once with each of the given options. It deploys every program of package
// network/sample; those that the backend refuses with a reason are noted.
func Backend(t *testing.T, create func() backend.Backend, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	backendContract(refusals).run(t, withDefaults(options),
		way[backend.Backend]{"in process", func(*testing.T, *arena.Arena) backend.Backend { return create() }},
		way[backend.Backend]{"over gRPC", func(t *testing.T, _ *arena.Arena) backend.Backend {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = backendrpc.Register(registrar, create()) })
			closeAfter(t, session)
			client := backendrpc.NewClient(conn, "")
			closeAfter(t, client)
			return client
		}})
	return refusals
}

// BackendProcess holds an executable, or a built-in, against the contract.
func BackendProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	backendContract(refusals).run(t, withDefaults(options), way[backend.Backend]{"in its own process", func(t *testing.T, _ *arena.Arena) backend.Backend {
		process, err := catalogue.Backend(t.Context(), name, host.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Backend
	}})
	return refusals
}

func backendContract(refusals *Refusals) contract[backend.Backend] {
	programs := sample.Programs()
	return contract[backend.Backend]{
		kind:   plugins.KindBackend,
		traits: []string{backend.TraitTimed},
		wrap:   checked.Backend,
		configure: func(ctx context.Context, b backend.Backend, options plugins.Values) error {
			_, err := b.Deploy(ctx, backend.Deploy{Options: options, Network: programs[0].Network, Weights: programs[0].Weights})
			return err
		},
		check: func(t *testing.T, open opener[backend.Backend], options plugins.Values) {
			for _, program := range programs {
				t.Run(program.Name, func(t *testing.T) {
					t.Parallel()
					refusals.note(program.Name, checkProgram(t, open, options, program))
				})
			}
		},
	}
}

// checkProgram returns the reason why the backend refuses the program.
func checkProgram(t *testing.T, open opener[backend.Backend], options plugins.Values, program sample.Program) (refused string) {
	b := open(t, newArena(t))
	_, judge := describe(t, plugins.KindBackend, b)
	m := &machine{Backend: checked.Backend(b, judge), program: program}
	request := backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights}
	var err error
	m.deployed, err = m.Deploy(t.Context(), request)
	if reason, ok := unsupported(t, "Deploy", err); ok {
		return reason
	}
	m.checkCost(t)
	if reason, ok := m.checkExecute(t); ok {
		return reason
	}
	m.checkRefusedBatches(t)

	incomplete := request
	incomplete.Weights = maps.Clone(request.Weights)
	for name := range incomplete.Weights {
		delete(incomplete.Weights, name)
		break
	}
	if _, err := m.Deploy(t.Context(), incomplete); err == nil {
		t.Errorf("Deploy of a network that lacks a weight: no error, want it refused")
	}
	return ""
}

// unsupported fails the test for any error but one that says, with a reason,
// that the request is not served.
func unsupported(t *testing.T, call string, err error) (reason string, refused bool) {
	t.Helper()
	if err == nil {
		return "", false
	}
	refusal, ok := errors.AsType[*backend.ErrUnsupported](err)
	if !ok {
		t.Fatalf("%s: %v", call, err)
	}
	if refusal.Reason == "" {
		t.Errorf("%s is not supported, but no reason is given", call)
		return "no reason is given", true
	}
	t.Logf("%s: %v", call, refusal)
	return refusal.Reason, true
}

// machine is a backend with a program deployed.
type machine struct {
	backend.Backend
	program  sample.Program
	deployed backend.Deployed
}

// checkCost sees that each quantity is there or missing for a reason, and that
// substitutions name what is substituted. That quantities
// are finite and not negative is checked on the way (package checked).
func (m *machine) checkCost(t *testing.T) {
	t.Helper()
	cost, err := m.Cost(t.Context(), backend.CostRequest{Steps: m.program.Steps})
	if _, refused := unsupported(t, "Cost", err); refused {
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
	m.checkSubstitutions(t, cost.Substitutions)
	for name, parts := range map[string][]backend.Part{"energy": cost.Energy, "memory": cost.Memory} {
		if slices.ContainsFunc(parts, func(p backend.Part) bool { return p.Name == "" }) {
			t.Errorf("Cost: a part of the %s has no name: %v", name, parts)
		}
	}
	m.checkLongerCosts(t, cost)
	if _, err := m.Cost(t.Context(), backend.CostRequest{}); err == nil {
		t.Errorf("Cost of a sequence without steps: no error, want it refused")
	}
}

func (m *machine) checkSubstitutions(t *testing.T, substitutions []backend.Substitution) {
	t.Helper()
	for _, s := range substitutions {
		weight, deployed := m.program.Weights[s.Weight]
		if !deployed || s.From != weight.Format() || s.To == "" || s.To == s.From || s.Reason == "" {
			t.Errorf("Cost: substitution %+v, want a deployed weight, what it was deployed as, another thing that it is on this machine, and the reason", s)
		}
	}
}

// checkLongerCosts sees that modelled figures of a sequence of twice the steps are
// larger: Cost is of one whole sequence.
func (m *machine) checkLongerCosts(t *testing.T, cost backend.Cost) {
	t.Helper()
	steps := map[string]int{}
	for stream, n := range m.program.Steps {
		steps[stream] = 2 * n
	}
	longer, err := m.Cost(t.Context(), backend.CostRequest{Steps: steps})
	if err != nil {
		t.Fatalf("Cost of a longer sequence: %v", err)
	}
	if cost.Cycles != nil && *cost.Cycles > 0 && (longer.Cycles == nil || *longer.Cycles <= *cost.Cycles) {
		t.Errorf("Cost: the cycles of a sequence of twice the steps are no more than %v, want those of the whole sequence", *cost.Cycles)
	}
	if before, after := total(cost.Energy), total(longer.Energy); before > 0 && after <= before {
		t.Errorf("Cost: the energy of a sequence of twice the steps is %v J, want more than %v J: that of the whole sequence", after, before)
	}
}

func total(parts []backend.Part) float64 {
	sum := 0.0
	for _, p := range parts {
		sum += p.Value
	}
	return sum
}

// rms is the root of the mean square.
func rms(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(max(len(values), 1)))
}
