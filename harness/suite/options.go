package suite

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"bittern/plugins"
)

// options reads "units=64", the list ["units=64", …], the mapping {units: 64}
// or a list of such mappings.
func (d *decoder) options(path string, node *yaml.Node, into plugins.Values) error {
	const accepted = "write options as [units=64] or {units: 64}"
	set := func(at *yaml.Node, name, value string) error {
		name = strings.TrimSpace(name)
		if name == "" {
			return faultAt(at, "%s has an option without a name; %s", path, accepted)
		}
		if _, twice := into[name]; twice {
			return faultAt(at, "%s: option %s is given twice", path, quote(name))
		}
		d.lines[join(path, name)] = at.Line
		into[name] = strings.TrimSpace(value)
		return nil
	}
	switch {
	case empty(node):
		return nil
	case node.Kind == yaml.SequenceNode:
		for _, item := range node.Content {
			if item.Kind == yaml.SequenceNode || empty(item) {
				return faultAt(item, "%s has an entry that is no option; %s", path, accepted)
			}
			if err := d.options(path, item, into); err != nil {
				return err
			}
		}
		return nil
	case node.Kind == yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			name, value := node.Content[i], node.Content[i+1]
			text, err := textOf(join(path, shorten(name.Value)), value)
			if err != nil {
				return err
			}
			if value.Tag == "!!int" || value.Tag == "!!float" {
				text = digits(text)
			}
			if err := set(name, name.Value, text); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := textOf(path, node)
	if err != nil {
		return err
	}
	name, value, found := strings.Cut(text, "=")
	if !found {
		return faultAt(node, "%s: %s is no option; %s, and quote a value that has a comma, as in [\"parts=a,b\"] or {parts: \"a,b\"}", path, quote(text), accepted)
	}
	return set(node, name, value)
}
