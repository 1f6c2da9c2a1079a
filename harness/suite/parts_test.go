package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
)

// part writes a suite of one experiment a seed and returns the path of its file.
func part(t *testing.T, name, seeds, rest string) string {
	t.Helper()
	content := fmt.Sprintf("name: %s\nseeds: %s\ntasks: [{data: grammar, batch: 4, length: 5}]\nmodels: [{plugin: lstm}]\nquantizers: [{plugin: none}]\nbackends: [{plugin: cpu}]\n%s", name, seeds, rest)
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPartsRunTogether(t *testing.T) {
	t.Parallel()
	first, second := part(t, "first", "[1, 2]", "threads: 3\ntraining: {epochs: 7}"), part(t, "second", "[5]", "threads: 3\n")
	s := parse(t, fmt.Sprintf("name: both\nsummary: two\nparts: [%s, %s]", first, second))
	var got []string
	for _, c := range s.Combinations() {
		got = append(got, fmt.Sprint(c.Suite, " ", c.Task.Label, " ", c.Seed, " ", c.Task.Training.Epochs))
	}
	if diff := cmp.Diff([]string{"first grammar 1 7", "first grammar 2 7", "second grammar 5 1"}, got); diff != "" {
		t.Errorf("experiments (-want +got):\n%s", diff)
	}
	if s.Threads != 3 || len(s.Backends) != 1 || s.Backends[0].Label != "cpu" || s.Freeze != defaultSuite().Freeze {
		t.Errorf("threads %d, backends %v, freeze %v, want those of the parts", s.Threads, s.Backends, s.Freeze)
	}
	four, nine, two := 4, 9, 2
	if err := s.Apply(Override{Seeds: []uint64{8}, Threads: &four, Epochs: &nine, Draws: &two, Bytes: &nine, Backends: []string{"asic-lowpower"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Combinations() {
		if c.Seed != 8 || c.Task.Training.Epochs != 9 || c.Task.Options["bytes"] != "9" {
			t.Errorf("after the override: %+v", c)
		}
	}
	if s.Threads != 4 || s.Freeze.Draws != 2 || s.Backends[0].Plugin != "asic-lowpower" {
		t.Errorf("after the override: threads %d, freeze %v, backends %v", s.Threads, s.Freeze, s.Backends)
	}
	var problem *plugins.Problem
	zero := 0
	if err := s.Apply(Override{Epochs: &zero}); !errors.As(err, &problem) || !strings.Contains(problem.Sentence, "--epochs must be") {
		t.Errorf("no epochs: %v", err)
	}
}

// --bytes is for the parts that have tasks with the option.
func TestBytesOfParts(t *testing.T) {
	t.Parallel()
	bytes := 1000
	images := parse(t, "name: x\nparts: [paper-mnist, paper-gru]")
	if err := images.Apply(Override{Bytes: &bytes}); err != nil {
		t.Error(err)
	}
	if got := images.Suites[1].Tasks[0].Options["bytes"]; got != "1000" {
		t.Errorf("the text has %q bytes, want 1000", got)
	}
	var problem *plugins.Problem
	if err := parse(t, "name: x\nparts: [paper-mnist]").Apply(Override{Bytes: &bytes}); !errors.As(err, &problem) || !strings.Contains(problem.Sentence, "no task of the suite x has the option bytes") {
		t.Errorf("bytes of images: %v", err)
	}
}

func TestPartsRefuse(t *testing.T) {
	t.Parallel()
	own := part(t, "own", "[1]", "threads: 2\n")
	other, frozen := part(t, "other", "[1]", "threads: 3\n"), part(t, "frozen", "[1]", "freeze: {draws: 3}\n")
	namesake := part(t, "own", "[2]", "")
	bad := part(t, "bad", "[1]", "training: {epochs: 0}\n")
	circle := filepath.Join(t.TempDir(), "circle.yaml")
	if err := os.WriteFile(circle, []byte("name: circle\nparts: ["+circle+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{
		"name: x\nparts: []":                              "test, line 2: parts must be a list of 1 to 64 entries, not 0",
		"name: x\nparts: [demo-smalest]":                  `test, line 2: parts[0]: there is no suite "demo-smalest", did you mean "demo-smallest"?`,
		"name: x\nparts:\n  - demo\n  - demo":             `test, line 4: parts[1]: two suites are called "demo"; list each once`,
		"name: x\nparts: [" + own + ", " + namesake + "]": `two suites are called "own"`,
		"name: demo\nparts: [demo]":                       `test, line 2: parts[0]: the suite "demo" has the name of the suite that it is a part of`,
		"name: x\nparts: [paper]":                         "test, line 2: parts[0]: suite paper, line 6: it is made of parts itself; list its parts in its place",
		"name: x\nparts: [" + circle + "]":                "circle.yaml, line 2: it is made of parts itself",
		"name: x\nparts: [demo]\nseeds: [1]":              `test, line 3: the key "seeds" stands beside parts, and a suite of parts has only name and summary`,
		"name: x\nparts: [demo]\ntraining: {epochs: 1}":   `test, line 3: the key "training" stands beside parts`,
		"parts: [demo]":                                   `a suite lacks the key "name"`,
		"name: two words\nparts: [demo]":                  "test, line 1: name must be one word",
		"name: x\nparts: [" + own + ", " + other + "]":    `the suites "own" and "other" have different threads, which the parts of a suite must share`,
		"name: x\nparts: [" + own + ", " + frozen + "]":   `the suites "own" and "frozen" have different freeze`,
		"name: x\nparts: [paper-gru, char-small]":         `the suites "paper-gru" and "char-small" have different backends`,
		"name: x\nparts: [" + bad + "]":                   "bad.yaml, line 7: training.epochs must be a whole number",
	} {
		_, err := Parse("test", []byte(content))
		var problem *plugins.Problem
		if !errors.As(err, &problem) || !strings.Contains(problem.Sentence, want) {
			t.Errorf("%q: %v, want a Problem with %q", content, err, want)
		}
	}
}

// What the umbrella suite runs: every part, with the tasks and sizes of the tables.
func TestPaper(t *testing.T) {
	t.Parallel()
	s, err := Load("paper")
	if err != nil {
		t.Fatal(err)
	}
	count, labels := map[string]int{}, map[string]string{}
	models := map[string]bool{}
	for _, c := range s.Combinations() {
		count[c.Suite]++
		models[c.Task.Label+" "+c.Model.Label] = true
		label := strings.Join([]string{c.Task.Label, c.Model.Label, c.Quantizer.Label}, ", ")
		if other, taken := labels[label]; taken {
			t.Errorf("%s and %s have experiments of one name, %s", other, c.Suite, label)
		}
		labels[label] = c.Suite
	}
	want := map[string]int{
		"paper-characters": 4 * 5,         // four data sets
		"paper-words":      4*3 + 7*2,     // three sizes; Hou et al.'s rows of two
		"paper-mnist":      5,             //
		"paper-qa":         2 * 5,         // two data sets
		"paper-gru":        4,             //
		"normalized":       3 * (5*3 + 2), // three data sets: five normalizations of three quantizers, and the paper's method
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("experiments of each part (-want +got):\n%s", diff)
	}
	for _, one := range []string{
		"ptb-char lstm-1000", "warpeace lstm-512", "linux-standin lstm-512", "text8-prefix lstm-2000", "words lstm-300", "words lstm-650", "words lstm-2x1500",
		"smnist lstm-100", "cnn-qa-standin reader-256", "babi-en reader-256", "warpeace gru-512", "text8-prefix layer-2000",
	} {
		if !models[one] {
			t.Errorf("the suite lacks %s", one)
		}
	}
	words, err := Load("paper-words")
	if err != nil {
		t.Fatal(err)
	}
	if got := words.Tasks[0].Training; got.LearningRate != 20 || got.DecayOnRise != 4 || got.ClipNorm != 0.25 || got.Epochs != 80 {
		t.Errorf("the words are trained with %+v", got)
	}
}

// The suite of hardware has the widths, normalizations and machines that are compared, and
// that of the paper's hardware every network of the paper.
func TestHardwareSuitesAreWhole(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		experiments, backends int
		networks              []string
	}{
		"hardware": {2 * 4, 7, []string{"warpeace batch dorefa-4", "warpeace layer none", "warpeace layer stochastic-ternary"}},
		"paper-hardware": {9 * 3, 2, []string{
			"ptb-char lstm-1000 none", "warpeace lstm-512 stochastic-binary", "linux-standin lstm-512 none", "text8-prefix lstm-2000 stochastic-ternary", "words lstm-300 none",
			"words lstm-650 none", "words lstm-2x1500 stochastic-binary", "smnist lstm-100 none", "cnn-qa-standin reader-256 stochastic-ternary",
		}},
	} {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]bool{}
		for _, c := range s.Combinations() {
			has[c.Task.Label+" "+c.Model.Label+" "+c.Quantizer.Label] = true
		}
		if len(has) != want.experiments || len(s.Backends) != want.backends {
			t.Errorf("%s has %d experiments on %d backends, want %d on %d", name, len(has), len(s.Backends), want.experiments, want.backends)
		}
		for _, one := range want.networks {
			if !has[one] {
				t.Errorf("%s lacks %s", name, one)
			}
		}
	}
}
