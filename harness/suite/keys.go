package suite

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"bittern/harness/task"
	"bittern/plugins"
)

// field is one key that a mapping of a suite file may have: a struct's field
// and what its tags say.
//
//	key:"batch"        the key's name
//	doc:"…"            what it means
//	required:"true"    the key may not be left out
//	min:"1" max:"8"    bounds of a number, both allowed, or of a list's length
//	above:"0"          bound of a number that is not allowed itself
//	choices:"a,b"      the only texts allowed
//	flag:"epochs"      the flag of run that replaces the value
//
// An embedded struct's fields are keys of the same mapping.
type field struct {
	name     string
	index    []int // see reflect.Value.FieldByIndex
	kind     reflect.Type
	doc      string
	required bool
	min, max *float64
	above    *float64
	choices  []string
	flag     string
}

// fieldsOf lists the keys of a struct in its order. A tag that cannot be read
// is a fault of the program, so it panics.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
			continue
		}
		name, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		read := field{
			name: name, index: f.Index, kind: f.Type, doc: f.Tag.Get("doc"), required: f.Tag.Get("required") == "true",
			min: bound(f, "min"), max: bound(f, "max"), above: bound(f, "above"), flag: f.Tag.Get("flag"),
		}
		if choices, ok := f.Tag.Lookup("choices"); ok {
			read.choices = strings.Split(choices, ",")
		}
		all = append(all, read)
	}
	return all
}

// optionFields are the options of a task as keys of its entry.
func optionFields(d task.Definition) []field {
	kinds := map[plugins.OptionType]reflect.Type{
		plugins.Int: reflect.TypeFor[int](), plugins.Float: reflect.TypeFor[float64](), plugins.Bool: reflect.TypeFor[bool](), plugins.String: reflect.TypeFor[string](),
	}
	var all []field
	for _, o := range d.Options {
		f := field{name: o.Name, kind: kinds[o.Type], doc: o.Doc, choices: o.Choices}
		if o.Name == bytesOption {
			f.flag = bytesOption
		}
		if number := o.Type == plugins.Int || o.Type == plugins.Float; number && o.Min <= o.Max {
			f.min, f.max = &o.Min, &o.Max
		}
		all = append(all, f)
	}
	return all
}

// bytesOption is the option of tasks that the flag of its name replaces.
const bytesOption = "bytes"

func bound(f reflect.StructField, tag string) *float64 {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("suite: tag %s of %s: %v", tag, f.Name, err))
	}
	return &number
}

// admits says whether the bounds allow a number; a number that is not finite
// is never allowed.
func (f field) admits(number float64) bool {
	return !math.IsNaN(number) && !math.IsInf(number, 0) &&
		(f.min == nil || number >= *f.min) && (f.max == nil || number <= *f.max) && (f.above == nil || number > *f.above)
}

// bounds words the bounds, as in " between 1 and 8" or, for a list, " of 1 to 8
// entries"; it is empty where there are none.
func (f field) bounds() string {
	list := f.kind != nil && f.kind.Kind() == reflect.Slice
	switch {
	case list && f.min != nil && f.max != nil:
		return " of " + plain(*f.min) + " to " + plain(*f.max) + " entries"
	case list && f.max != nil:
		return " of at most " + plain(*f.max) + " entries"
	case f.above != nil:
		return " above " + plain(*f.above)
	case f.min != nil && f.max != nil:
		return " between " + plain(*f.min) + " and " + plain(*f.max)
	case f.min != nil:
		return " of at least " + plain(*f.min)
	case f.max != nil:
		return " of at most " + plain(*f.max)
	}
	return ""
}

func plain(number float64) string { return strconv.FormatFloat(number, 'f', -1, 64) }

// Key is one key of a suite file.
type Key struct {
	Name     string `json:"name"`           // as in "tasks[].batch"
	Task     string `json:"task,omitempty"` // the only task whose entries have the key; empty where all have it
	Type     string `json:"type"`
	Required bool   `json:"required"`
	Default  string `json:"default,omitempty"` // of a key that may be left out; empty for a text or list without one
	Allowed  string `json:"allowed,omitempty"` // bounds or choices, in words
	Flag     string `json:"flag,omitempty"`    // of the command run, without its dashes
	Doc      string `json:"doc"`
}

// Keys lists every key that a suite file may have, in the order of the structs
// that it is decoded into.
func Keys() []Key {
	return keysOf("", reflect.ValueOf(*defaultSuite()))
}

func keysOf(path string, defaults reflect.Value) []Key {
	var all []Key
	for _, f := range fieldsOf(defaults.Type()) {
		value := defaults.FieldByIndex(f.index)
		name := join(path, f.name)
		key := Key{Name: name, Type: f.typeName(), Required: f.required, Allowed: f.allowed(), Flag: f.flag, Doc: f.doc}
		switch f.kind.Kind() {
		case reflect.Int, reflect.Float64, reflect.Bool, reflect.String:
			if !f.required {
				key.Default = fmt.Sprint(value)
			}
		}
		all = append(all, key)
		switch {
		case f.kind.Kind() == reflect.Struct && path == "": // a task's training has the keys of the suite's
			all = append(all, keysOf(name, value)...)
		case f.kind.Kind() == reflect.Slice && f.kind.Elem().Kind() == reflect.Struct:
			entry := reflect.New(f.kind.Elem()).Elem()
			if t, ok := entry.Addr().Interface().(*Task); ok {
				t.Task = task.Default
			}
			all = append(all, keysOf(name+"[]", entry)...)
			if f.kind.Elem() == reflect.TypeFor[Task]() {
				all = append(all, optionKeys(name+"[]")...)
			}
		}
	}
	return all
}

// optionKeys lists the options of every task.
func optionKeys(path string) []Key {
	var all []Key
	for _, d := range task.Definitions() {
		for i, f := range optionFields(d) {
			all = append(all, Key{
				Name: join(path, f.name), Task: d.Name, Type: f.typeName(), Default: d.Options[i].Default, Allowed: f.allowed(), Flag: f.flag, Doc: f.doc,
			})
		}
	}
	return all
}

func (f field) typeName() string {
	if f.kind == reflect.TypeFor[plugins.Values]() {
		return "options"
	}
	switch f.kind.Kind() {
	case reflect.Struct:
		return "mapping"
	case reflect.Slice:
		switch f.kind.Elem().Kind() {
		case reflect.Struct:
			return "list of mappings"
		case reflect.Uint64:
			return "list of whole numbers"
		}
		return "list of texts"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

func (f field) allowed() string {
	if f.choices != nil {
		return strings.Join(f.choices, ", ")
	}
	return strings.TrimPrefix(strings.TrimSpace(f.bounds()), "of ")
}

// nearest names the key meant by an unknown one: a key of the same mapping
// with nearly that name, or a key of another mapping with just that name.
func nearest(path, name string, siblings []field) string {
	if first, _, dotted := strings.Cut(name, "."); dotted && slices.ContainsFunc(siblings, func(f field) bool { return f.name == first }) {
		return "; a dot does not nest keys, indentation does"
	}
	names := make([]string, len(siblings))
	for i, f := range siblings {
		names[i] = f.name
	}
	if hint := plugins.DidYouMean(name, names); hint != "" {
		return strings.Replace(hint, `"`, `"`+join(path, ""), 1) // the whole path
	}
	for _, key := range Keys() {
		if key.Task == "" && strings.HasSuffix(key.Name, "."+strings.ToLower(name)) {
			return fmt.Sprintf(", did you mean %q?", key.Name)
		}
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
