package builtin_test

import (
	"testing"

	"bittern/builtin"
	"bittern/harness/suite"
	"bittern/plugins"
)

// Every suite that comes with the program names plugins that do, with options that
// they have.
func TestSuitesNamePluginsThatAreThere(t *testing.T) {
	t.Parallel()
	descriptions := map[plugins.ID]plugins.Description{}
	for _, p := range builtin.Plugins() {
		description, err := p.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		descriptions[p.ID] = description
	}
	for _, name := range suite.Names() {
		s, err := suite.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		check := func(kind plugins.Kind, entry suite.Plugin) {
			id := plugins.ID{Kind: kind, Name: entry.Plugin}
			description, ok := descriptions[id]
			if !ok {
				t.Errorf("suite %s names %s, which is no built-in plugin", name, id)
				return
			}
			if _, err := plugins.Resolve(id.String(), description.Options, entry.Options); err != nil {
				t.Errorf("suite %s, %s %q: %v", name, kind, entry.Label, err)
			}
		}
		for _, c := range s.Combinations() {
			check(plugins.KindModel, c.Model)
			check(plugins.KindQuantizer, c.Quantizer)
		}
		for _, b := range s.Backends {
			check(plugins.KindBackend, b)
		}
	}
}
