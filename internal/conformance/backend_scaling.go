package conformance

import (
	"errors"
	"maps"
	"slices"

	graphs "bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/stepgraph"
)

// slack is how much larger one sum may be than another that equals it but for rounding.
const slack = 1 + 1e-9

// quantity is one quantity of a cost, summed over its parts. It is 0 if the backend does not
// tell it.
type quantity struct {
	name  string
	value float64
}

func quantities(c backend.Cost) []quantity {
	return []quantity{
		{"energy", total(c.Energy)}, {"memory", total(c.Memory)}, {"area", total(c.Area)},
		{"cycles", told(c.Cycles)}, {"seconds", told(c.Seconds)},
	}
}

// told returns a quantity, or 0 if the backend does not tell it.
func told(quantity *float64) float64 {
	if quantity == nil {
		return 0
	}
	return *quantity
}

// dynamic returns the energy of all parts that are not static.
func dynamic(parts []backend.Part) float64 {
	sum := 0.0
	for _, p := range parts {
		if !p.Static {
			sum += p.Value
		}
	}
	return sum
}

// costOf deploys a program and asks what it costs. It skips the check if the machine times
// its costs, and returns false if the machine does not serve the program.
func costOf(r *recorder, b backend.Backend, options plugins.Values, program sample.Program) (backend.Cost, bool) {
	_, err := b.Deploy(r.ctx, backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights})
	var cost backend.Cost
	if err == nil {
		cost, err = b.Cost(r.ctx, backend.CostRequest{Steps: program.Steps})
	}
	if _, refused := errors.AsType[*backend.ErrUnsupported](err); refused {
		return backend.Cost{}, false
	}
	r.must("what "+program.Name+" costs", err)
	if cost.Measured {
		r.skip("the machine times its costs")
	}
	return cost, true
}

// lstm returns a program of an LSTM with so many units, whose recurrent weights have the format.
func lstm(name string, units int, format graphs.Format) sample.Program {
	g, weights := graphs.LSTM{Units: units, Inputs: 7, Outputs: 7, Steps: 3, Format: format, Seed: 1}.Build()
	return sample.Program{Name: name, Network: network.Scanned(name, g), Weights: weights, Steps: map[string]int{"sequence": 9}}
}

// checkGrowing checks that no quantity falls from one program of the list to the next. It
// returns the costs of those that the machine serves.
func checkGrowing(r *recorder, b backend.Backend, options plugins.Values, programs []sample.Program) []backend.Cost {
	var costs []backend.Cost
	var before sample.Program
	for _, program := range programs {
		cost, served := costOf(r, b, options, program)
		if !served {
			continue
		}
		if len(costs) > 0 {
			now := quantities(cost)
			for i, q := range quantities(costs[len(costs)-1]) {
				if q.value > now[i].value*slack {
					r.saw("Cost: the %s of an LSTM with %s is %v", q.name, program.Name, now[i].value).want("at least %v, that of %s", q.value, before.Name)
				}
			}
		}
		costs, before = append(costs, cost), program
	}
	if len(costs) < 2 {
		r.skip("the machine serves fewer than two of the networks")
	}
	return costs
}

// checkMoreUnits checks that a larger network costs no less, and more energy and memory.
func checkMoreUnits(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	b := all.open(r, 0).plugin
	for _, format := range []graphs.Format{graphs.Binary, {}} {
		costs := checkGrowing(r, b, options, []sample.Program{
			lstm("5 units", 5, format), lstm("16 units", 16, format), lstm("61 units", 61, format),
		})
		first, last := costs[0], costs[len(costs)-1]
		for _, q := range []struct {
			name        string
			first, last float64
		}{
			{"dynamic energy", dynamic(first.Energy), dynamic(last.Energy)}, {"memory", total(first.Memory), total(last.Memory)},
		} {
			if q.first > 0 && q.last <= q.first {
				r.saw("Cost: the %s of the largest LSTM is %v, that of the smallest %v", q.name, q.last, q.first).want("more for more units")
			}
		}
	}
}

// checkWiderWeights checks that the same network costs no less with wider weights. These
// have levels that are evenly spaced and without a 0, which sums of signs are too. There are
// enough of them that a machine's look-up table for a format takes less than they do.
func checkWiderWeights(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	levels := func(bits int) graphs.Format {
		var levels []float32
		for level := 1 - 1<<bits; level < 1<<bits; level += 2 {
			levels = append(levels, float32(level))
		}
		return graphs.Format{Planes: [][]float32{levels}}
	}
	checkGrowing(r, all.open(r, 0).plugin, options, []sample.Program{
		lstm("weights of 1 bit", 61, levels(1)), lstm("weights of 2 bits", 61, levels(2)), lstm("weights of 4 bits", 61, levels(4)),
	})
}

// checkNoWork deploys a network that gives out a part of what comes in, and checks that it
// takes no energy but for moving these numbers, and what is drawn whatever is computed.
func checkNoWork(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	wire := sample.Program{Name: "a network without work", Steps: map[string]int{"sequence": 9}, Network: network.Scanned("wire", stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 5}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: 3, Offset: 1}},
		Output: "y",
	})}
	cost, served := costOf(r, all.open(r, 0).plugin, options, wire)
	if !served {
		r.skip("the machine does not serve a network without work")
	}
	for _, p := range cost.Energy {
		moves := p.Name == backend.PartActivationMemory || p.Name == backend.PartDRAM
		if !p.Static && !moves && p.Value != 0 {
			r.saw("Cost: where nothing is computed %q takes %v J", p.Name, p.Value).want("0 J, or a part that is static")
		}
	}
}

// checkLongerCosts checks that the figures of a sequence of twice the steps are those of the
// whole sequence: cycles and energy are more, and nothing is less.
func checkLongerCosts(r *recorder, m *machine) {
	cost := m.cost(r, m.program.Steps)
	steps := map[string]int{}
	for stream, n := range m.program.Steps {
		steps[stream] = 2 * n
	}
	longer := quantities(m.cost(r, steps))
	for i, q := range quantities(cost) {
		now := longer[i].value
		more := q.name == "cycles" || q.name == "energy"
		if !cost.Measured && (now < q.value || more && q.value > 0 && now <= q.value) {
			r.saw("Cost: the %s of a sequence of twice the steps is %v", q.name, now).want("that of the whole sequence, where %v is that of half of it", q.value)
		}
	}
}

// severalPlanes reports whether a weight of the program has several planes.
func severalPlanes(p sample.Program) bool {
	for _, w := range p.Weights {
		if len(w.Planes) > 1 {
			return true
		}
	}
	return false
}

// checkFewerBits checks that a network does not cost more if only the first plane of each
// weight is left.
func checkFewerBits(r *recorder, m *machine) {
	before := m.cost(r, m.program.Steps)
	if before.Measured {
		r.skip("the machine times its costs")
	}
	fewer := m.request
	fewer.Weights = maps.Clone(fewer.Weights)
	for _, name := range slices.Sorted(maps.Keys(fewer.Weights)) {
		if w := fewer.Weights[name]; len(w.Planes) > 1 {
			w.Planes = w.Planes[:1]
			fewer.Weights[name] = w
		}
	}
	_, err := m.Deploy(r.ctx, fewer)
	r.served("Deploy of the first planes alone", err)
	after := quantities(m.cost(r, m.program.Steps))
	for i, q := range quantities(before) {
		if after[i].value > q.value*slack {
			r.saw("Cost: with the first plane of each weight alone the %s is %v", q.name, after[i].value).want("at most %v, that of all planes", q.value)
		}
	}
}
