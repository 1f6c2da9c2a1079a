package schedule

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bittern/harness/internal/testplugin"
	"bittern/plugins"
	"bittern/plugins/host"
)

// An external plugin is its executable, whatever version it gives itself: another
// build of it makes other experiments, which have no result yet.
func TestARebuiltPluginMakesOtherExperiments(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	coin := plugins.ID{Kind: plugins.KindQuantizer, Name: "coin"}
	builtins := slices.DeleteFunc(slices.Clone(testplugin.IDs), func(id plugins.ID) bool { return id == coin })
	ids := map[string]string{}
	for _, build := range []string{"first", "first again", "second"} {
		folder := t.TempDir()
		content := program
		if build == "second" { // what is behind the end of a program changes nothing that it does
			content = append(slices.Clone(program), build...)
		}
		if err := os.WriteFile(filepath.Join(folder, "bittern-quantizer-coin"), content, 0o700); err != nil {
			t.Fatal(err)
		}
		catalogue, err := host.NewCatalogue(builtins, folder)
		if err != nil {
			t.Fatal(err)
		}
		specs, err := Prepare(t.Context(), parse(t, suiteOfFour), catalogue, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(specs[0].Quantizer.SHA256) != 64 {
			t.Errorf("%s build: the quantizer's checksum is %q, want that of its executable", build, specs[0].Quantizer.SHA256)
		}
		if specs[0].Model.SHA256 != "" {
			t.Errorf("%s build: the built-in model has the checksum %q, want none: its version names it", build, specs[0].Model.SHA256)
		}
		row, err := specs[0].Row()
		if err != nil {
			t.Fatal(err)
		}
		ids[build] = row.ID
	}
	if ids["first"] != ids["first again"] || ids["first"] == ids["second"] {
		t.Errorf("experiments %v, want the same for the same executable and another for another", ids)
	}
}
