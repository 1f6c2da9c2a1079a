package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"bittern/plugins"
)

func checkDescription(r *recorder, kind plugins.Kind, traits, roles []string, d plugins.Description) {
	if d.Kind != kind {
		r.saw("Kind = %q", d.Kind).want("%q", kind)
	}
	if !plugins.ValidName(d.Name) {
		r.saw("Name = %q", d.Name).want("lower-case letters and digits, words set off by single hyphens")
	}
	if d.API != plugins.APIVersion {
		r.saw("API = %d", d.API).want("%d", plugins.APIVersion)
	}
	if d.Version == "" || d.Summary == "" {
		r.saw("Version = %q, Summary = %q", d.Version, d.Summary).want("both given")
	}
	if strings.ContainsAny(d.Summary, "\n\r") {
		r.saw("Summary = %q", d.Summary).want("one line")
	}
	for _, trait := range d.Traits {
		if !slices.Contains(traits, trait) {
			r.saw("the trait %q is not one of %q that the contract knows for a %s", trait, traits, kind).want("a known trait")
		}
	}
	for _, fact := range d.Facts {
		if fact.Name == "" || fact.Value == "" {
			r.saw("the fact %+v", fact).want("a fact with a name and a value")
		}
	}
	checkOptions(r, kind, roles, d.Options)
}

func checkOptions(r *recorder, kind plugins.Kind, roles []string, options []plugins.Option) {
	seen, played := make(map[string]bool), make(map[string]string)
	for _, o := range options {
		if !plugins.ValidName(o.Name) {
			r.saw("the option %q", o.Name).want("a name of lower-case letters and digits, words set off by single hyphens")
		}
		if seen[o.Name] {
			r.saw("the option %q is described twice", o.Name).want("a name for each option")
		}
		seen[o.Name] = true
		if o.Doc == "" {
			r.saw("the option %q has no Doc", o.Name).want("a line on what it does")
		}
		if o.Role == "" {
			continue
		}
		if !slices.Contains(roles, o.Role) {
			r.saw("the role %q of the option %q is not one of %q that the contract knows for a %s", o.Role, o.Name, roles, kind).want("a known role, or none")
		}
		if other, ok := played[o.Role]; ok {
			r.saw("the options %q and %q both have the role %q", other, o.Name, o.Role).want("one option of each role")
		}
		played[o.Role] = o.Name
	}
	if _, err := plugins.Resolve("the plugin", options, nil); err != nil {
		r.saw("the defaults do not satisfy the options' own bounds: %v", err).want("defaults that are allowed")
	}
}

// checkRefusals checks that options which the description rules out are refused with a
// *plugins.Problem.
func checkRefusals(r *recorder, options []plugins.Option, configure func(context.Context, plugins.Values) error) {
	bad := []plugins.Values{{"no-such-option": "1"}}
	for _, o := range options {
		switch {
		case o.Type == plugins.Bool:
			bad = append(bad, plugins.Values{o.Name: "perhaps"})
		case o.Type == plugins.String && len(o.Choices) > 0:
			bad = append(bad, plugins.Values{o.Name: "no such choice"})
		case (o.Type == plugins.Int || o.Type == plugins.Float) && o.Min <= o.Max:
			bad = append(bad,
				plugins.Values{o.Name: fmt.Sprintf("%.0f", math.Floor(o.Min)-1)},
				plugins.Values{o.Name: fmt.Sprintf("%.0f", math.Ceil(o.Max)+1)},
				plugins.Values{o.Name: "many"})
		}
	}
	for _, options := range bad {
		err := configure(r.ctx, options)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			r.saw("the options %v are answered with the error %v", options, err).want("a *plugins.Problem")
		}
	}
}

// difference returns the first index at which the bits of two slices differ, or −1.
func difference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// randomness returns a generator that is the same in every run, so that failures can be
// repeated.
func randomness() *rand.Rand { return rand.New(rand.NewPCG(2, 71)) }
