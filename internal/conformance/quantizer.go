package conformance

import (
	"context"

	"bittern/internal/checked"
	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// Quantizer returns the checks of a quantizer, once for each set of options; nil means the
// defaults.
func Quantizer(way Way[quantizer.Quantizer], options []plugins.Values) []*Group {
	return quantizerContract.groups(way, options)
}

// quantizerShapes are the shapes that every check uses: the smallest, and sizes that are no
// multiple of any vector or machine word.
var quantizerShapes = []quantizer.Shape{{Name: "one", Rows: 1, Cols: 1}, {Name: "small", Rows: 3, Cols: 5}, {Name: "odd", Rows: 17, Cols: 33}}

var quantizerContract = contract[quantizer.Quantizer]{
	kind:   plugins.KindQuantizer,
	traits: []string{quantizer.TraitBackward, quantizer.TraitProject, quantizer.TraitInitialise, quantizer.TraitSecondMoments},
	wrap:   checked.Quantizer,
	configure: func(ctx context.Context, q quantizer.Quantizer, options plugins.Values) error {
		_, err := q.Plan(ctx, options, quantizerShapes)
		return err
	},
	checks: func(all *pool[quantizer.Quantizer], options plugins.Values) []Check {
		var checks []Check
		for _, c := range quantizerChecks {
			checks = append(checks, Check{Name: c.name, run: func(r *recorder) {
				c.run(r, openQuantizer(r, all, 0, options, quantizerShapes))
			}})
		}
		return checks
	},
}

var quantizerChecks = []struct {
	name string
	run  func(*recorder, *quantizerSession)
}{
	{"draws replay", checkReplay},
	{"steps and seeds differ", checkDraws},
	{"weights stand alone", checkAlone},
	{"inputs stay", checkInputsStay},
	{"Initialise", checkInitialise},
	{"Freeze", checkFreeze},
	{"Backward", checkBackward},
	{"gradients keep their direction", checkDirection},
	{"Project", checkProject},
	{"traits are told", checkTraits},
	{"training goes on from State", checkResumed},
	{"NaN", checkNaN},
}
