package suite

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"bittern/plugins"
)

// scalar reads a single value.
func (d *decoder) scalar(path string, f field, node *yaml.Node, into reflect.Value) error {
	if node.Kind != yaml.ScalarNode {
		return faultAt(node, "%s must be a single value, not a %s", path, kindOf(node))
	}
	refuse := func(want string) error {
		return faultAt(node, "%s must be %s%s, not %s", path, want, f.bounds(), shown(node))
	}
	// YAML allows 1_000 for 1000. Its other ways of writing numbers (0x10, 010)
	// are refused rather than guessed at.
	digits := digits(node.Value)
	switch into.Kind() {
	case reflect.String:
		text, err := textOf(path, node)
		if err != nil {
			return err
		}
		if f.choices != nil && !slices.Contains(f.choices, text) {
			return faultAt(node, "%s must be %s, not %s%s", path, strings.Join(f.choices, " or "), quote(text), plugins.DidYouMean(text, f.choices))
		}
		into.SetString(text)
	case reflect.Bool:
		if !strings.EqualFold(node.Value, "true") && !strings.EqualFold(node.Value, "false") {
			return refuse("true or false")
		}
		into.SetBool(strings.EqualFold(node.Value, "true"))
	case reflect.Int:
		number, err := strconv.ParseInt(digits, 10, strconv.IntSize)
		if err != nil || ambiguous(digits) || !f.admits(float64(number)) {
			return refuse("a whole number")
		}
		into.SetInt(number)
	case reflect.Uint64:
		number, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || ambiguous(digits) {
			want := "a whole number of at least 0"
			if !strings.HasSuffix(path, "]") {
				want += ", or a list of them such as [1, 2, 3]"
			}
			return refuse(want)
		}
		into.SetUint(number)
	case reflect.Float64:
		number, err := strconv.ParseFloat(digits, 64)
		if err != nil || !f.admits(number) {
			return refuse("a number")
		}
		into.SetFloat(number)
	default:
		panic(fmt.Sprintf("suite: %s has the type %s, which cannot be read", path, into.Type()))
	}
	return nil
}

// ambiguous says whether a number begins with a 0 that some readers of YAML
// take for octal.
func ambiguous(digits string) bool {
	digits = strings.TrimLeft(digits, "+-")
	return len(digits) > 1 && digits[0] == '0'
}

// kindOf names what is no scalar.
func kindOf(node *yaml.Node) string {
	if node.Kind == yaml.SequenceNode {
		return "list"
	}
	return "mapping of keys"
}

// shown is a scalar as it stands in the file.
func shown(node *yaml.Node) string {
	switch {
	case empty(node):
		return "nothing"
	case node.Tag == "!!str":
		return quote(node.Value)
	}
	return shorten(node.Value)
}

// textOf reads a text, for which a number or true may stand without quotes.
func textOf(path string, node *yaml.Node) (string, error) {
	switch {
	case node.Kind != yaml.ScalarNode:
		return "", faultAt(node, "%s must be a single value, not a %s", path, kindOf(node))
	case empty(node):
		return "", faultAt(node, "%s has no value; give one or take the key out", path)
	case strings.ContainsFunc(node.Value, unicode.IsControl):
		return "", faultAt(node, "%s must be one line without control characters, not %s", path, quote(node.Value))
	}
	return node.Value, nil
}

// digits takes out of a number the _ that YAML allows between its digits.
func digits(number string) string { return strings.ReplaceAll(number, "_", "") }
