package plugins

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
)

// OptionType is the type of an option's value.
type OptionType string

// The types an option may have.
const (
	Int    OptionType = "int"
	Float  OptionType = "float"
	Bool   OptionType = "bool"
	String OptionType = "string"

	// File is text that users keep in a file. They give its path, relative to the suite's
	// file or, with a flag, to the working directory; the plugin is given its content. A
	// value that is one of the Choices is given as it is and names no file.
	File OptionType = "file"
)

// Option describes one setting of a plugin. Min and Max bound a number, both allowed; with
// Min > Max a number has no bounds. Choices, if there are any, list the allowed strings, or
// those that a File may be beside the content of one. Role is a word that the plugin's kind
// defines, such as backend.RoleClock; most options have none.
type Option struct {
	Name    string     `json:"name"`
	Type    OptionType `json:"type"`
	Default string     `json:"default"`
	Min     float64    `json:"min,omitempty"`
	Max     float64    `json:"max,omitempty"`
	Choices []string   `json:"choices,omitempty"`
	Role    string     `json:"role,omitempty"`
	Doc     string     `json:"doc"`
}

// Values are the settings given to a plugin, as text keyed by option name.
type Values map[string]string

// Resolve checks the given values against the options and returns a value for every option,
// the default if none was given. A value that is not allowed is a *Problem, which calls the
// plugin by the name owner.
func Resolve(owner string, options []Option, given Values) (Values, error) {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.Name
	}
	keys := make([]string, 0, len(given))
	for k := range given {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, name := range keys {
		if !slices.Contains(names, name) {
			return nil, Problemf("%s has no option %q%s; its options are %s",
				owner, name, DidYouMean(name, names), listOrNone(names))
		}
	}
	out := make(Values, len(options))
	for _, o := range options {
		text, ok := given[o.Name]
		if !ok {
			text = o.Default
		}
		if err := o.check(text); err != nil {
			return nil, Problemf("%s: option %s = %q %s", owner, o.Name, text, err)
		}
		out[o.Name] = text
	}
	return out, nil
}

func (o Option) check(text string) error {
	var number float64
	switch o.Type {
	case Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("must be a whole number%s", o.bounds())
		}
		number = float64(n)
	case Float:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("must be a number%s", o.bounds())
		}
		number = f
	case Bool:
		if _, err := strconv.ParseBool(text); err != nil {
			return fmt.Errorf("must be true or false")
		}
		return nil
	case String:
		if len(o.Choices) > 0 && !slices.Contains(o.Choices, text) {
			return fmt.Errorf("must be one of %s", strings.Join(o.Choices, ", "))
		}
		return nil
	case File:
		if strings.TrimSpace(text) == "" && !slices.Contains(o.Choices, text) {
			return fmt.Errorf("must be %sthe content of a file", strings.Join(append(slices.Clone(o.Choices), ""), ", or "))
		}
		return nil
	default:
		return fmt.Errorf("has the unknown type %q", o.Type)
	}
	if o.Min <= o.Max && (number < o.Min || number > o.Max) {
		return fmt.Errorf("must be%s", o.bounds())
	}
	return nil
}

func (o Option) bounds() string {
	if o.Min > o.Max {
		return ""
	}
	format := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return " between " + format(o.Min) + " and " + format(o.Max)
}

// Int returns a resolved option as a whole number; it panics on a name or type
// that Resolve would have refused.
func (v Values) Int(name string) int {
	n, err := strconv.ParseInt(v.text(name), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("plugins: option %s: %v", name, err))
	}
	return int(n)
}

// Float returns a resolved option as a number; see [Values.Int].
func (v Values) Float(name string) float64 {
	f, err := strconv.ParseFloat(v.text(name), 64)
	if err != nil {
		panic(fmt.Sprintf("plugins: option %s: %v", name, err))
	}
	return f
}

// Bool returns a resolved option as a truth value; see [Values.Int].
func (v Values) Bool(name string) bool {
	b, err := strconv.ParseBool(v.text(name))
	if err != nil {
		panic(fmt.Sprintf("plugins: option %s: %v", name, err))
	}
	return b
}

// Text returns a resolved option as it was written; see [Values.Int].
func (v Values) Text(name string) string { return v.text(name) }

func (v Values) text(name string) string {
	text, ok := v[name]
	if !ok {
		panic(fmt.Sprintf("plugins: option %s was never resolved", name))
	}
	return text
}

// DidYouMean returns `, did you mean "x"?` with the known name nearest to name
// (edit distance at most a third of its length, at least 2), or nothing.
func DidYouMean(name string, known []string) string {
	best, distance := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(k), nil); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
