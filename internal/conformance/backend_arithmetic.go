package conformance

import (
	"maps"
	"slices"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network/sample"
)

// checkArithmetic checks that the backend computes alike whatever it names by the same
// arithmetic: in another instance, and with every other option for which it names that
// arithmetic. It does not check other backends of the executable.
func checkArithmetic(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	o, other := all.open(r, 0), all.open(r, 1)
	if slices.Contains(o.description.Traits, backend.TraitTimed) {
		r.skip("the machine is timed: it executes whatever it names")
	}
	values, err := plugins.Resolve("the plugin", o.description.Options, options)
	r.must("the options", err)
	named := false
	for _, program := range sample.Programs() {
		want := outcomeOf(r, o.plugin, options, program)
		name := want.Deployed.Arithmetic
		if name == "" || want.Outputs == nil {
			continue
		}
		named = true
		again := outcomeOf(r, other.plugin, options, program)
		if again.Deployed.Arithmetic != name {
			r.saw("%s: deployed once more, its arithmetic is %q", program.Name, again.Deployed.Arithmetic).want("%q as before", name)
		}
		if k := difference(again.Outputs, want.Outputs); k >= 0 {
			r.saw("%s: deployed once more, output %d is %v", program.Name, k, again.Outputs[k]).want("%v: the arithmetic is %q both times", want.Outputs[k], name)
		}
		for _, option := range o.description.Options {
			for _, value := range otherValues(option, values[option.Name]) {
				with := plugins.Values{}
				maps.Copy(with, options)
				with[option.Name] = value
				got := outcomeOf(r, o.plugin, with, program)
				if got.Deployed.Arithmetic != name || got.Outputs == nil {
					continue
				}
				if k := difference(got.Outputs, want.Outputs); k >= 0 {
					r.saw("%s: with %s = %s, output %d is %v", program.Name, option.Name, value, k, got.Outputs[k]).
						want("%v, or another name: the arithmetic is %q both times", want.Outputs[k], name)
				}
			}
		}
	}
	if !named {
		r.skip("the machine names no arithmetic")
	}
}
