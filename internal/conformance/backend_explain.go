package conformance

import (
	"bittern/plugins"
	"bittern/plugins/backend"
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
