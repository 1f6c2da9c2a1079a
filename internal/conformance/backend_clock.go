package conformance

import (
	"maps"
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network/sample"
)

// checkClock checks that time goes with the clock, and the energy of events does not.
func checkClock(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	o := all.open(r, 0)
	at := slices.IndexFunc(o.description.Options, func(option plugins.Option) bool { return option.Role == backend.RoleClock })
	if at < 0 {
		r.skip("no option is the clock of the whole machine")
	}
	clock := o.description.Options[at]
	for _, program := range sample.Programs() {
		before, served := costOf(r, o.plugin, options, program)
		if !served {
			continue
		}
		if told(before.Cycles) == 0 || told(before.Seconds) == 0 {
			r.saw("%s: Cost tells %v cycles and %v seconds, and the option %s is the clock", program.Name, told(before.Cycles), told(before.Seconds), clock.Name).want("both")
		}
		megahertz := *before.Cycles / *before.Seconds / 1e6
		other, ok := otherClock(clock, megahertz)
		if !ok {
			r.skip("the bounds of %s allow neither half nor twice of %v MHz", clock.Name, megahertz)
		}
		with := plugins.Values{}
		maps.Copy(with, options)
		with[clock.Name] = number(other)
		after, served := costOf(r, o.plugin, with, program)
		if !served {
			r.saw("%s: with %s = %s the machine does not serve it", program.Name, clock.Name, with[clock.Name]).want("it served as at %v MHz", megahertz)
		}
		checkClocked(r, program.Name+": with "+clock.Name+" = "+with[clock.Name], before, after, megahertz/other)
	}
}

// checkClocked compares a cost with that at another clock, at which a cycle takes slower
// times as long.
func checkClocked(r *recorder, what string, before, after backend.Cost, slower float64) {
	expected := []quantity{{"cycles", *before.Cycles}, {"seconds", slower * *before.Seconds}}
	got := []quantity{{"cycles", told(after.Cycles)}, {"seconds", told(after.Seconds)}}
	for _, p := range before.Energy {
		factor := 1.0
		if p.Static {
			factor = slower
		}
		expected = append(expected, quantity{"energy of " + p.Name, factor * p.Value})
	}
	for _, p := range after.Energy {
		got = append(got, quantity{"energy of " + p.Name, p.Value})
	}
	if len(got) != len(expected) {
		r.saw("%s the parts of the energy are %v", what, after.Energy).want("the same as before, %v", before.Energy)
	}
	for i, want := range expected {
		if got := got[i]; got.name != want.name || got.value > want.value*slack || want.value > got.value*slack {
			r.saw("%s the %s is %v", what, got.name, got.value).want("%s of %v: time and what is static go with the clock, and nothing else does", want.name, want.value)
		}
	}
}

// otherClock is half or twice a number of MHz, whichever the option allows.
func otherClock(option plugins.Option, megahertz float64) (other float64, ok bool) {
	for _, other := range []float64{megahertz / 2, megahertz * 2} {
		if option.Type == plugins.Int {
			other = math.Round(other)
		}
		if option.Min > option.Max || option.Min <= other && other <= option.Max {
			return other, true
		}
	}
	return 0, false
}
