package wire

import (
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
	"bittern/plugins"
)

// EncodeDescription returns the wire form of a description.
func EncodeDescription(d plugins.Description) *pluginv1.Description {
	m := &pluginv1.Description{
		Kind: string(d.Kind), Name: d.Name, Version: d.Version, Api: int64(d.API),
		Summary: d.Summary, Traits: d.Traits,
	}
	for _, o := range d.Options {
		m.Options = append(m.Options, &pluginv1.Option{
			Name: o.Name, Type: string(o.Type), Default: o.Default,
			Min: o.Min, Max: o.Max, Choices: o.Choices, Role: o.Role, Doc: o.Doc,
		})
	}
	for _, f := range d.Facts {
		m.Facts = append(m.Facts, &pluginv1.Fact{Name: f.Name, Value: f.Value, Source: f.Source})
	}
	return m
}

// DecodeDescription is the inverse of EncodeDescription, except that it makes every text one
// printable line ([plugins.Line]).
func DecodeDescription(m *pluginv1.Description) plugins.Description {
	line := plugins.Line
	d := plugins.Description{
		Kind: plugins.Kind(line(m.GetKind())), Name: line(m.GetName()), Version: line(m.GetVersion()), API: int(m.GetApi()),
		Summary: line(m.GetSummary()), Traits: plugins.Lines(m.GetTraits()),
	}
	for _, o := range m.GetOptions() {
		d.Options = append(d.Options, plugins.Option{
			Name: line(o.GetName()), Type: plugins.OptionType(line(o.GetType())), Default: line(o.GetDefault()),
			Min: o.GetMin(), Max: o.GetMax(), Choices: plugins.Lines(o.GetChoices()), Role: line(o.GetRole()), Doc: line(o.GetDoc()),
		})
	}
	for _, f := range m.GetFacts() {
		d.Facts = append(d.Facts, plugins.Fact{Name: line(f.GetName()), Value: line(f.GetValue()), Source: line(f.GetSource())})
	}
	return d
}
