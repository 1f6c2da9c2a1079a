// Package plugintest is the conformance kit for authors of plugins. One call in
// a test holds an implementation against the contract, in this process and over
// the gRPC protocol:
//
//	func TestConformance(t *testing.T) { plugintest.Quantizer(t, mine.New) }
//
// The calls ending in Process do the same with an executable as the harness
// would start it, in any language. A model may refuse shapes of batches and a backend
// programs; what a test means to be refused it says with [Refusals.Want].
package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/checked"
)

func newArena(t *testing.T) *arena.Arena {
	t.Helper()
	shared, err := arena.Create("", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	return shared
}

func allocate[T arena.Element](t *testing.T, shared *arena.Arena, shape ...int) []T {
	t.Helper()
	slice, err := arena.Make[T](shared, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return slice
}

func closeAfter(t *testing.T, closer io.Closer) {
	t.Cleanup(func() {
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	})
}

// describe returns what a plugin says of itself, and the judge that the host
// would check its answers with.
func describe(t *testing.T, kind plugins.Kind, plugin describer) (plugins.Description, checked.Judge) {
	t.Helper()
	d, err := plugin.Describe(t.Context())
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	return d, checked.Judge{
		Owner: plugins.ID{Kind: kind, Name: d.Name}.String(), Options: d.Options, Traits: d.Traits,
		Nonsense: func(call, detail string) error { return &nonsense{call + ": " + detail} },
	}
}

// nonsense is an answer that the host would refuse.
type nonsense struct{ detail string }

func (n *nonsense) Error() string { return n.detail }

var wellFormed = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func checkDescription(t *testing.T, kind plugins.Kind, traits []string, plugin describer) {
	t.Helper()
	d, _ := describe(t, kind, plugin)
	if d.Kind != kind {
		t.Errorf("Kind = %q, want %q", d.Kind, kind)
	}
	if !wellFormed.MatchString(d.Name) {
		t.Errorf("Name = %q, want lower-case letters and digits, words set off by single hyphens", d.Name)
	}
	if d.API != plugins.APIVersion {
		t.Errorf("API = %d, want %d", d.API, plugins.APIVersion)
	}
	if d.Version == "" || d.Summary == "" {
		t.Errorf("Version = %q, Summary = %q, want both given", d.Version, d.Summary)
	}
	if strings.ContainsAny(d.Summary, "\n\r") {
		t.Errorf("Summary = %q, want one line", d.Summary)
	}
	for _, trait := range d.Traits {
		if !slices.Contains(traits, trait) {
			t.Errorf("the trait %q is not one of %q that the contract knows for a %s", trait, traits, kind)
		}
	}
	for _, fact := range d.Facts {
		if fact.Name == "" || fact.Value == "" {
			t.Errorf("the fact %+v wants a name and a value", fact)
		}
	}
	checkOptions(t, d.Options)
}

func checkOptions(t *testing.T, options []plugins.Option) {
	t.Helper()
	seen := make(map[string]bool)
	for _, o := range options {
		if !wellFormed.MatchString(o.Name) {
			t.Errorf("the option %q wants a name of lower-case letters and digits, words set off by single hyphens", o.Name)
		}
		if seen[o.Name] {
			t.Errorf("the option %q is described twice", o.Name)
		}
		seen[o.Name] = true
		if o.Doc == "" {
			t.Errorf("the option %q wants a Doc", o.Name)
		}
	}
	if _, err := plugins.Resolve("the plugin", options, nil); err != nil {
		t.Errorf("the defaults do not satisfy the options' own bounds: %v", err)
	}
}

// checkRefusals sees that options which the description rules out are refused
// as mistakes of the user's.
func checkRefusals(t *testing.T, options []plugins.Option, configure func(context.Context, plugins.Values) error) {
	t.Helper()
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
		err := configure(t.Context(), options)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			t.Errorf("the options %v are answered with the error %v, want a *plugins.Problem", options, err)
		}
	}
}

// difference returns the first index at which the bits differ, or −1.
func difference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// randomness is the same in every run: a failure can be looked at again.
func randomness() *rand.Rand { return rand.New(rand.NewPCG(2, 71)) }
