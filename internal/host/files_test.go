package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bittern/plugins"
)

func TestReadFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("chip.yaml", "clock: 1\n")
	write("empty.yaml", "")
	write("binary.yaml", "\xff\xfe")
	write("long.yaml", strings.Repeat("#", mostFileBytes+1))
	options := []plugins.Option{
		{Name: "design", Type: plugins.File, Default: "small", Choices: []string{"small"}},
		{Name: "units", Type: plugins.Int, Default: "1"},
	}
	given := plugins.Values{"design": "chip.yaml", "units": "3"}
	values, paths, err := ReadFiles(options, given, folder)
	if err != nil {
		t.Fatal(err)
	}
	if values["design"] != "clock: 1\n" || values["units"] != "3" || paths["design"] != filepath.Join(folder, "chip.yaml") || given["design"] != "chip.yaml" {
		t.Errorf("values %v, paths %v of %v", values, paths, given)
	}
	for _, given := range []plugins.Values{nil, {"design": "small"}, {"units": "2"}} {
		values, paths, err := ReadFiles(options, given, folder)
		if err != nil || len(paths) != 0 || values["design"] != given["design"] || len(values) != len(given) {
			t.Errorf("of %v: values %v, paths %v, error %v; want nothing read", given, values, paths, err)
		}
	}
	for name, want := range map[string]string{
		"smal":        `did you mean "small"?`,
		"empty.yaml":  "it is empty",
		"binary.yaml": "not text",
		"long.yaml":   "longer than",
		".":           "no regular file",
	} {
		_, _, err := ReadFiles(options, plugins.Values{"design": name}, folder)
		var problem *plugins.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want a problem with %q", name, err, want)
		}
	}
}
