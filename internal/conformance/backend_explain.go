package conformance

import (
	"maps"
	"slices"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network/sample"
)

// checkExplain checks that the backend says which constants its figures are computed from, and
// where these come from. Package checked has checked that values are finite.
func checkExplain(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	e, err := all.open(r, 0).plugin.Explain(r.ctx, options)
	r.must("Explain", err)
	if len(e.Constants)+len(e.Formulas)+len(e.Notes) == 0 {
		r.saw("Explain says nothing").want("the constants and formulas of the model, or notes on how figures are measured")
	}
	for _, c := range e.Constants {
		if c.Name == "" || c.Source == "" {
			r.saw("Explain: the constant %+v", c).want("a name, and a source or that it is assumed")
		}
	}
	for _, f := range e.Formulas {
		if f.Quantity == "" || f.Expression == "" {
			r.saw("Explain: the formula %+v", f).want("a quantity and an expression")
		}
	}
	for _, c := range e.Calibration {
		if c.Machine == "" || c.Quantity == "" || c.Source == "" || c.Published == 0 {
			r.saw("Explain: the residual %+v", c).want("a machine, a quantity, and what was published of it with its source")
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

// checkFewerBits checks that a network does not cost more if only the first plane of each weight
// is left.
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
	after := m.cost(r, m.program.Steps)
	const rounding = 1 + 1e-9
	for _, quantity := range []struct {
		name          string
		before, after float64
	}{
		{"energy", total(before.Energy), total(after.Energy)},
		{"memory", total(before.Memory), total(after.Memory)},
		{"cycles", told(before.Cycles), told(after.Cycles)},
		{"seconds", told(before.Seconds), told(after.Seconds)},
	} {
		if quantity.after > quantity.before*rounding {
			r.saw("Cost: with the first plane of each weight alone the %s is %v", quantity.name, quantity.after).want("at most %v, that of all planes", quantity.before)
		}
	}
}

// told returns a quantity, or 0 if the backend does not tell it.
func told(quantity *float64) float64 {
	if quantity == nil {
		return 0
	}
	return *quantity
}
