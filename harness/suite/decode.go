package suite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bittern/harness/task"
	"bittern/plugins"
)

// Limits of a suite file. The largest suite in use is 1 kB and 5 levels deep;
// the limits keep a wrong or hostile file from costing more than a moment.
const (
	maxSize  = 1 << 20
	maxDepth = 64
	maxShown = 60 // characters of the file's own text in a sentence
)

// fault is what is wrong with a suite: where, and a sentence that says what.
type fault struct {
	line int    // 0 where only the path is known
	path string // as in "tasks[0].batch"
	text string
}

func (f *fault) Error() string { return f.text }

func faultAt(node *yaml.Node, format string, arguments ...any) *fault {
	return &fault{line: node.Line, text: fmt.Sprintf(format, arguments...)}
}

func faultOf(path, format string, arguments ...any) *fault {
	return &fault{path: path, text: fmt.Sprintf(format, arguments...)}
}

// shorten cuts the file's own text where it is long.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}

func quote(text string) string { return strconv.Quote(shorten(text)) }

// document parses YAML into the node of its one document.
func document(content []byte) (*yaml.Node, error) {
	source := yaml.NewDecoder(bytes.NewReader(content))
	var root, more yaml.Node
	if err := source.Decode(&root); errors.Is(err, io.EOF) {
		return nil, &fault{text: "it is empty"}
	} else if err != nil {
		return nil, err
	}
	switch err := source.Decode(&more); {
	case err == nil:
		return nil, faultAt(&more, `a second document begins here; a suite file is one document, so take the line "---" out`)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return root.Content[0], inspect(root.Content[0], 1)
}

// inspect refuses what YAML allows and a suite has no use for: deep nesting,
// aliases, tags, keys that are no words, and keys given twice, in whatever case.
func inspect(node *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return faultAt(node, "it is nested more than %d levels deep; a suite needs fewer than ten", maxDepth)
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return faultAt(node, "anchors and aliases (&name, *name) cannot be used here; write the value out")
	case node.Style&yaml.TaggedStyle != 0:
		return faultAt(node, "the tag %s cannot be used here; write the value without it", quote(node.Tag))
	}
	if node.Kind == yaml.MappingNode {
		lines := make(map[string]int, len(node.Content)/2)
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return faultAt(key, "a key must be a single word")
			}
			if line, twice := lines[strings.ToLower(key.Value)]; twice {
				return faultAt(key, "the key %s is given in line %d already; keep one of the two", quote(key.Value), line)
			}
			lines[strings.ToLower(key.Value)] = key.Line
		}
	}
	for _, child := range node.Content {
		if err := inspect(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// decoder fills a suite from YAML and remembers in which line each value stands.
type decoder struct {
	suite *Suite
	lines map[string]int // by path
}

// line returns the line of a path, or else of the nearest path that contains it. If a task
// does not set a key of its training, it is the line of the suite's key.
func (d *decoder) line(path string) int {
	if line, ok := d.lines[path]; ok {
		return line
	}
	if _, key, ok := strings.Cut(path, "].training."); ok {
		if line, ok := d.lines["training."+key]; ok {
			return line
		}
	}
	if end := strings.LastIndexAny(path, ".["); end > 0 {
		return d.line(path[:end])
	}
	return 0
}

func (d *decoder) decode(path string, f field, node *yaml.Node, into reflect.Value) error {
	d.lines[path] = node.Line
	switch {
	case into.Type() == reflect.TypeFor[plugins.Values]():
		values := make(plugins.Values)
		if err := d.options(path, node, values); err != nil {
			return err
		}
		into.Set(reflect.ValueOf(values))
		return nil
	case into.Type() == reflect.TypeFor[Task]():
		return d.task(path, node, into.Addr().Interface().(*Task))
	case into.Kind() == reflect.Struct:
		return d.mapping(path, node, into)
	case into.Kind() == reflect.Slice:
		return d.list(path, f, node, into)
	}
	return d.scalar(path, f, node, into)
}

// value is the text that stands where a mapping was expected, to be shown as the value of
// the key that is missing.
func value(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode && !empty(node) {
		return shorten(node.Value)
	}
	return "…"
}

// empty says whether a key has nothing after it, as where all its entries are
// commented out.
func empty(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

func (d *decoder) mapping(path string, node *yaml.Node, into reflect.Value) error {
	fields := fieldsOf(into.Type())
	if node.Kind != yaml.MappingNode && !empty(node) {
		example := fields[0]
		for _, f := range fields {
			if f.required {
				example = f
				break
			}
		}
		return faultAt(node, "%s must be keys with their values, such as {%s: %s}", owner(path), example.name, value(node))
	}
	given := make(map[string]*yaml.Node)
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == key.Value }) {
			name := shorten(key.Value)
			return faultAt(key, "there is no key %q%s", join(path, name), nearest(path, name, fields))
		}
		given[key.Value] = node.Content[i+1]
	}
	parts := path == "" && given["parts"] != nil // a suite of parts, whose keys stand in these
	for _, f := range fields {
		value, ok := given[f.name]
		switch {
		case ok && parts && f.name != "name" && f.name != "summary" && f.name != "parts":
			return faultAt(value, "the key %q stands beside parts, and a suite of parts has only name and summary; set it in the parts", f.name)
		case !ok && parts && f.name != "name":
			continue
		case !ok && f.required:
			return faultAt(node, "%s lacks the key %q: %s", owner(path), f.name, f.doc)
		case !ok:
			continue
		}
		if err := d.decode(join(path, f.name), f, value, into.FieldByIndex(f.index)); err != nil {
			return err
		}
	}
	return nil
}

// task reads an entry of tasks: the keys of every task, and the options of the task that it
// names.
func (d *decoder) task(path string, node *yaml.Node, into *Task) error {
	own := fieldsOf(reflect.TypeFor[Task]())
	if node.Kind != yaml.MappingNode {
		return faultAt(node, "%s must be keys with their values, such as {data: %s}", path, value(node))
	}
	rest := *node // without the options
	rest.Content = nil
	type given struct{ key, value *yaml.Node }
	var others []given
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if slices.ContainsFunc(own, func(f field) bool { return f.name == key.Value }) {
			rest.Content = append(rest.Content, key, value)
		} else {
			others = append(others, given{key, value})
		}
	}
	if err := d.mapping(path, &rest, reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	definition, err := task.Find(into.Task)
	if err != nil {
		return &fault{line: d.line(join(path, "task")), text: shorten(path) + ": " + err.Error()}
	}
	options := optionFields(definition)
	into.Options = make(plugins.Values)
	for _, other := range others {
		name := shorten(other.key.Value)
		at := slices.IndexFunc(options, func(f field) bool { return f.name == other.key.Value })
		if at < 0 {
			return faultAt(other.key, "there is no key %q%s; the options of the task %s are %s", join(path, name),
				nearest(path, name, slices.Concat(own, options)), definition.Name, strings.Join(definition.OptionNames(), ", "))
		}
		value, err := d.option(join(path, name), options[at], other.value)
		if err != nil {
			return err
		}
		into.Options[name] = value
	}
	return nil
}

// option reads the value of a task's option. If the option is a text, the value may be a
// list, whose entries are joined with commas.
func (d *decoder) option(path string, f field, node *yaml.Node) (string, error) {
	d.lines[path] = node.Line
	if f.kind.Kind() == reflect.String && node.Kind == yaml.SequenceNode {
		var entries []string
		for _, item := range node.Content {
			text, err := textOf(path, item)
			if err != nil {
				return "", err
			}
			entries = append(entries, text)
		}
		return strings.Join(entries, ", "), nil
	}
	value := reflect.New(f.kind).Elem()
	if err := d.scalar(path, f, node, value); err != nil {
		return "", err
	}
	return fmt.Sprint(value), nil
}

// owner names a mapping in a sentence.
func owner(path string) string {
	if path == "" {
		return "a suite"
	}
	return path
}

// list fills a list. One entry may stand without the brackets of a list.
func (d *decoder) list(path string, f field, node *yaml.Node, into reflect.Value) error {
	entries := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode || empty(node) {
		entries = node.Content
	}
	if !f.admits(float64(len(entries))) {
		return faultAt(node, "%s must be a list%s, not %d", path, f.bounds(), len(entries))
	}
	into.Set(reflect.MakeSlice(into.Type(), len(entries), len(entries)))
	for i, entry := range entries {
		item, place := into.Index(i), fmt.Sprintf("%s[%d]", path, i)
		if node.Kind != yaml.SequenceNode && item.Kind() != reflect.Struct {
			place = path // it has no brackets
		}
		if entry, ok := item.Addr().Interface().(*Task); ok {
			entry.Task, entry.Training = task.Default, d.suite.Training
		}
		if err := d.decode(place, field{}, entry, item); err != nil {
			return err
		}
	}
	return nil
}
