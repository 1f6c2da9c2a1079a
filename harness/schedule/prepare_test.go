package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/internal/testplugin"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/internal/testexec"
	"bittern/plugins"
	"bittern/plugins/model"
)

// TestAutoArithmetic holds that only a suite that leaves the arithmetic open has another one on another
// machine, and only for a model that can.
func TestAutoArithmetic(t *testing.T) {
	t.Parallel()
	rounds := experiment.Plugin{Description: plugins.Description{Traits: []string{model.TraitBFloat16}}}
	for _, c := range []struct {
		asked model.Arithmetic
		model experiment.Plugin
		level isa.Level
		want  model.Arithmetic
	}{
		{suite.Auto, rounds, isa.AVX512BF16, model.BFloat16},
		{suite.Auto, rounds, isa.AVX512, model.Float32},
		{suite.Auto, experiment.Plugin{}, isa.AVX512BF16, model.Float32},
		{model.Float32, rounds, isa.AVX512BF16, model.Float32},
		{model.BFloat16, rounds, isa.Portable, model.BFloat16},
		{model.BFloat16, experiment.Plugin{}, isa.AVX512BF16, model.BFloat16}, // refused later
	} {
		if got := arithmeticFor(c.asked, c.model, c.level); got != c.want {
			t.Errorf("%s with the traits %q at %s: %s, want %s", c.asked, c.model.Description.Traits, c.level, got, c.want)
		}
	}
}

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
		testexec.Write(t, filepath.Join(folder, "bittern-quantizer-coin"), content)
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

// partOf writes a suite file with a part of a suite's own name, tasks, models and quantizers.
func partOf(t *testing.T, name, entries string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "name: %s\nseeds: [1]\n%s", name, entries), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Parts run together; what two of them list is trained once.
func TestPartsShareExperiments(t *testing.T) {
	t.Parallel()
	const entries = "tasks: [{data: grammar, batch: 4, length: 5, bytes: 2000}]\nmodels: [{%splugin: bigram}]\nquantizers: [{plugin: coin}]\ntraining: {steps: %d}\n"
	first := partOf(t, "first", fmt.Sprintf(entries, "label: small, ", 3))
	same, relabelled := partOf(t, "same", fmt.Sprintf(entries, "label: small, ", 3)), partOf(t, "relabelled", fmt.Sprintf(entries, "label: other, ", 3))
	longer, clash := partOf(t, "longer", fmt.Sprintf(entries, "label: long, ", 4)), partOf(t, "clash", fmt.Sprintf(entries, "label: small, ", 4))
	catalogue, err := host.NewCatalogue(testplugin.IDs, "")
	if err != nil {
		t.Fatal(err)
	}
	catalogue.DescribeInProcess(testplugin.Describe)
	prepare := func(parts ...string) ([]string, error) {
		specs, err := Prepare(t.Context(), parse(t, "name: all\nparts: ["+strings.Join(parts, ", ")+"]"), catalogue, "")
		var names []string
		for _, spec := range specs {
			name := spec.String() + ";"
			for _, l := range spec.Listings {
				name += fmt.Sprintf(" %s %d %s", l.Suite, l.Position, l.Model)
			}
			names = append(names, name)
		}
		return names, err
	}
	got, err := prepare(first, same, relabelled, longer)
	if want := []string{
		"grammar, small, coin, seed 1; all 0 small first 0 small same 1 small relabelled 2 other",
		"grammar, long, coin, seed 1; all 3 long longer 3 long",
	}; err != nil || !slices.Equal(got, want) {
		t.Errorf("experiments %q, %v, want %q", got, err, want)
	}
	_, err = prepare(first, clash)
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, `the suites first and clash call two experiments "grammar, small, coin, seed 1"`) {
		t.Errorf("one name for two experiments: %v", err)
	}
}

// What determines no number of the network is not in the JSON of a recipe, but a job has it too.
func TestAJobHasTheWholeRecipe(t *testing.T) {
	t.Parallel()
	specs, catalogue, err := prepare(t, strings.Replace(suiteOfFour, "learning_rate: 0.05",
		"learning_rate: 0.05, checkpoint_every_steps: 7, checkpoint_every_seconds: 11, paper_style_validation: true", 1))
	if err != nil {
		t.Fatal(err)
	}
	job, err := specs[0].Job()
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var received experiment.Job
	if err := json.Unmarshal(sent, &received); err != nil {
		t.Fatal(err)
	}
	made, err := NewWorkshop(catalogue, "").Spec(t.Context(), received)
	if err != nil {
		t.Fatal(err)
	}
	got, want := reflect.ValueOf(made.Task.Training), reflect.ValueOf(specs[0].Task.Training)
	for _, field := range reflect.VisibleFields(want.Type()) {
		if field.Tag.Get("json") != "-" {
			continue
		}
		if got, want := got.FieldByIndex(field.Index), want.FieldByIndex(field.Index); want.IsZero() || !got.Equal(want) {
			t.Errorf("%s is %v on the other machine and %v here, want the same, and more than nothing", field.Name, got, want)
		}
	}
}
