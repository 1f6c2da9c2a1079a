package conformance

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"bittern/internal/checked"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network/sample"
)

// Backend returns the checks of a backend, once for each set of options; nil means the defaults.
// It deploys every program of package network/sample.
func Backend(way Way[backend.Backend], options []plugins.Values) []*Group {
	return backendContract.groups(way, options)
}

var backendContract = contract[backend.Backend]{
	kind:   plugins.KindBackend,
	traits: []string{backend.TraitTimed},
	roles:  []string{backend.RoleClock},
	wrap:   checked.Backend,
	configure: func(ctx context.Context, b backend.Backend, options plugins.Values) error {
		program := sample.Programs()[0]
		_, err := b.Deploy(ctx, backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights})
		return err
	},
	checks: func(all *pool[backend.Backend], options plugins.Values) []Check {
		checks := []Check{
			{Name: "options have an effect", run: func(r *recorder) { checkOptionEffects(r, all, options) }},
			{Name: "Explain", run: func(r *recorder) { checkExplain(r, all, options) }},
			{Name: "one arithmetic, one result", run: func(r *recorder) { checkArithmetic(r, all, options) }},
			{Name: "Cost of more units", run: func(r *recorder) { checkMoreUnits(r, all, options) }},
			{Name: "Cost of wider weights", run: func(r *recorder) { checkWiderWeights(r, all, options) }},
			{Name: "Cost of no work", run: func(r *recorder) { checkNoWork(r, all, options) }},
			{Name: "Cost at another clock", run: func(r *recorder) { checkClock(r, all, options) }},
		}
		for _, program := range sample.Programs() {
			for _, c := range backendChecks {
				if c.where != nil && !c.where(program) {
					continue
				}
				checks = append(checks, Check{Of: program.Name, Name: c.name, run: func(r *recorder) {
					c.run(r, deploy(r, all, options, program))
				}})
			}
		}
		return checks
	},
}

// backendChecks begin with those that do not call Execute, since some backends only tell costs.
var backendChecks = []struct {
	name  string
	where func(sample.Program) bool // nil: every program
	run   func(*recorder, *machine)
}{
	{"Deploy without a weight", nil, checkIncomplete},
	{"Cost", nil, checkCost},
	{"Cost's memory", nil, checkMemory},
	{"Cost of a longer sequence", nil, checkLongerCosts},
	{"Cost of no steps", nil, checkNoSteps},
	{"Cost of fewer bits", severalPlanes, checkFewerBits},
	{"Execute repeats", nil, checkExecuteRepeats},
	{"Execute scores its outputs", nil, checkScore},
	{"Execute against exact arithmetic", nil, checkReference},
	{"sequences stand alone", nil, checkSequencesAlone},
	{"lengths", func(p sample.Program) bool { return hasLengths(p.Shape(1)) }, checkExecuteLengths},
	{"state is carried", func(p sample.Program) bool { return p.Carried }, checkCarried},
	{"batches that do not fit", nil, checkRefusedBatches},
}

// machine is a backend on which a program is deployed.
type machine struct {
	backend.Backend
	program  sample.Program
	request  backend.Deploy
	deployed backend.Deployed
}

// deploy deploys a program in place of the one before. If the backend does not serve it, the
// check ends.
func deploy(r *recorder, all *pool[backend.Backend], options plugins.Values, program sample.Program) *machine {
	m := &machine{
		Backend: all.open(r, 0).plugin, program: program,
		request: backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights},
	}
	var err error
	m.deployed, err = m.Deploy(r.ctx, m.request)
	r.served("Deploy", err)
	return m
}

// served ends the check if a call returned an error. The outcome is Refused if the error says
// that the backend does not serve the request.
func (r *recorder) served(call string, err error) {
	refusal, ok := errors.AsType[*backend.ErrUnsupported](err)
	if !ok {
		r.must(call, err)
		return
	}
	if refusal.Reason == "" {
		r.saw("%s is not supported, but no reason is given", call).want("a reason")
	}
	r.refuse(refusal.Reason)
}

func checkIncomplete(r *recorder, m *machine) {
	incomplete := m.request
	incomplete.Weights = maps.Clone(incomplete.Weights)
	delete(incomplete.Weights, slices.Sorted(maps.Keys(incomplete.Weights))[0])
	if _, err := m.Deploy(r.ctx, incomplete); err == nil {
		r.saw("Deploy of a network that lacks a weight: no error").want("it refused")
	}
}

// cost returns the cost of a sequence. It skips the check if the backend tells no costs.
func (m *machine) cost(r *recorder, steps map[string]int) backend.Cost {
	cost, err := m.Cost(r.ctx, backend.CostRequest{Steps: steps})
	if refusal, ok := errors.AsType[*backend.ErrUnsupported](err); ok && refusal.Reason != "" {
		r.skip("%s", refusal.Reason)
	}
	r.served("Cost", err)
	return cost
}

// checkCost checks that each quantity is there or has a reason why it is missing, and that
// substitutions name weights of the network. Package checked has checked that quantities are
// finite and not negative.
func checkCost(r *recorder, m *machine) {
	cost := m.cost(r, m.program.Steps)
	quantities := []struct {
		name  string
		given bool
	}{
		{"cycles", cost.Cycles != nil}, {"seconds", cost.Seconds != nil}, {"energy", len(cost.Energy) > 0},
		{"area", len(cost.Area) > 0}, {"memory", len(cost.Memory) > 0},
	}
	known := map[string]bool{}
	for _, q := range quantities {
		known[q.name] = true
		if reason := cost.Missing[q.name]; q.given == (reason != "") {
			r.saw("Cost: %s given: %t, reason for missing: %q", q.name, q.given, reason).want("one of the two")
		}
	}
	for quantity := range cost.Missing {
		if !known[quantity] {
			r.saw("Cost: Missing names %q", quantity).want("one of cycles, seconds, energy, area and memory")
		}
	}
	if cost.Measured && cost.N < 1 {
		r.saw("Cost: Measured with N = %d", cost.N).want("the number of timed sequences")
	}
	if cost.Measured && cost.Seconds != nil && (cost.SecondsLow == nil || cost.SecondsHigh == nil) {
		r.saw("Cost: Measured without the quartiles of Seconds").want("SecondsLow and SecondsHigh")
	}
	m.checkSubstitutions(r, cost.Substitutions)
	for name, parts := range map[string][]backend.Part{"energy": cost.Energy, "area": cost.Area, "memory": cost.Memory} {
		seen := map[string]bool{}
		for _, p := range parts {
			switch {
			case p.Name == "":
				r.saw("Cost: a part of the %s has no name: %v", name, parts).want("a name for each part")
			case seen[p.Name]:
				r.saw("Cost: %q is a part of the %s twice", p.Name, name).want("each part once: the sum of the parts is the whole")
			case p.Static && name != "energy":
				r.saw("Cost: %q is a static part of the %s", p.Name, name).want("static parts in the energy only")
			}
			seen[p.Name] = true
		}
	}
}

func checkNoSteps(r *recorder, m *machine) {
	m.cost(r, m.program.Steps)
	if _, err := m.Cost(r.ctx, backend.CostRequest{}); err == nil {
		r.saw("Cost of a sequence without steps: no error").want("it refused")
	}
}

func (m *machine) checkSubstitutions(r *recorder, substitutions []backend.Substitution) {
	for _, s := range substitutions {
		weight, deployed := m.program.Weights[s.Weight]
		if !deployed || s.From != weight.Format() || s.To == "" || s.To == s.From || s.Reason == "" {
			r.saw("Cost: substitution %+v", s).want("a deployed weight, what it was deployed as, another thing that it is on this machine, and the reason")
		}
	}
}

func total(parts []backend.Part) float64 {
	sum := 0.0
	for _, p := range parts {
		sum += p.Value
	}
	return sum
}

// rms returns the root mean square.
func rms(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(max(len(values), 1)))
}
