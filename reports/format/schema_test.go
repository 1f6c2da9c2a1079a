package format_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/provenance"
	"bittern/reports"
	"bittern/reports/format"
)

// document is what the tests read of a JSON Schema.
type document struct {
	Ref         string `json:"$ref"`
	Type        any
	Description string
	Properties  map[string]*document
	Required    []string
	Items       *document
	Others      any                  `json:"additionalProperties"`
	Defs        map[string]*document `json:"$defs"`
}

func TestTheSchemaAcceptsReports(t *testing.T) {
	t.Parallel()
	schema := schemaIn(t, "report.schema.json")
	for name, r := range map[string]*reports.Report{
		"two seeds, doubts and failures": golden(t), "hostile text": hostile(t), "curves": curved(t),
		"nothing finished": {Suite: "mine", Networks: []*reports.Network{}, Experiments: []reports.Experiment{}, Provenance: []reports.Provenance{}},
	} {
		t.Run(name, func(t *testing.T) { validate(t, schema, written(t, r, "json", reports.View{})) })
	}
	// It refuses what no report has.
	for _, text := range []string{`{}`, `{"$schema": "urn:bittern:report:2", "suite": "a", "networks": [], "experiments": [], "provenance": []}`, `{"$schema": "urn:bittern:report:1", "suite": "a", "networks": [], "experiments": [], "provenance": [], "rows": []}`} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// The schema has every field of the Go types and no other, says what each is, and which
// may be left out.
func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	t.Parallel()
	var root document
	if err := json.Unmarshal([]byte(format.Schema), &root); err != nil {
		t.Fatal(err)
	}
	delete(root.Properties, "$schema")
	root.Required = slices.DeleteFunc(root.Required, func(name string) bool { return name == "$schema" })
	used := make(map[string]bool)
	compare(t, &root, &root, reflect.TypeFor[reports.Report](), "report", used)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(root.Defs)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("definitions that nothing refers to (-want +got):\n%s", diff)
	}
}

// raw are the types of what is stored as JSON.
var raw = map[string]reflect.Type{
	"report.experiments.provenance":             reflect.TypeFor[provenance.Experiment](),
	"report.experiments.deployments.provenance": reflect.TypeFor[provenance.Deployment](),
}

// compare holds a part of the schema to a type.
func compare(t *testing.T, root, d *document, of reflect.Type, path string, used map[string]bool) {
	t.Helper()
	if d == nil {
		t.Errorf("%s is not described", path)
		return
	}
	if d.Description == "" {
		t.Errorf("%s has no description", path)
	}
	if name, ok := strings.CutPrefix(d.Ref, "#/$defs/"); ok {
		used[name] = true
		d = root.Defs[name]
	}
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if known, ok := raw[path]; ok {
		of = known
	}
	switch {
	case of == reflect.TypeFor[time.Time]():
	case of == reflect.TypeFor[json.RawMessage]():
		if d.Type != "object" {
			t.Errorf("%s is %v, want an object", path, d.Type)
		}
	case of.Kind() == reflect.Slice:
		if element := of.Elem(); element.Kind() == reflect.Struct || element.Kind() == reflect.Pointer {
			if d.Items == nil {
				t.Errorf("%s has no items", path)
				return
			}
			items := *d.Items
			items.Description = "of the list"
			compare(t, root, &items, element, path, used)
		}
	case of.Kind() == reflect.Struct:
		properties, required := fields(of)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(d.Properties))); diff != "" {
			t.Errorf("properties of %s (-Go +schema):\n%s", path, diff)
		}
		slices.Sort(required)
		if diff := cmp.Diff(required, slices.Sorted(slices.Values(d.Required))); diff != "" {
			t.Errorf("required of %s (-Go +schema):\n%s", path, diff)
		}
		if d.Others != false {
			t.Errorf("%s allows properties that it does not name", path)
		}
		for name, field := range properties {
			compare(t, root, d.Properties[name], field, path+"."+name, used)
		}
	}
}

// fields are the types of what a struct has in JSON, and those of them that it always has.
func fields(of reflect.Type) (types map[string]reflect.Type, required []string) {
	types = make(map[string]reflect.Type)
	for _, field := range reflect.VisibleFields(of) {
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if field.Anonymous || tag == "-" || !field.IsExported() {
			continue
		}
		if _, twice := types[name]; !twice && !strings.Contains(options, "omit") {
			required = append(required, name)
		}
		types[name] = field.Type
	}
	return types, required
}
