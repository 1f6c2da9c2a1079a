package suite

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bittern/plugins"
	"bittern/plugins/model"
)

const complete = `
name: two-by-two
summary: every key once
seeds: [1, 7]
threads: 3
tasks:
  - {data: grammar, batch: 4, length: 5, bytes: 1000}
  - {label: long, data: grammar, batch: 2, length: 50, training: {epochs: 9, decay: constant, final_learning_rate: 0}}
models:
  - {label: small, plugin: lstm, options: [units=8, normalization=batch]}
  - {label: large, plugin: lstm, options: [units=16], tasks: [long]}
quantizers:
  - {plugin: none}
  - {plugin: binaryconnect, model_options: [normalization=none], models: [small], sha256: abababababababababababababababababababababababababababababababab}
backends:
  - {plugin: cpu, options: [threads=1], environment: [CUDA_HOME, OMP_NUM_THREADS], memory_mib: 2048, processors: 2}
training:
  optimiser: adam
  learning_rate: 0.002
  final_learning_rate: 0.001
  decay: exponential
  clip_norm: 0.25
  arithmetic: bfloat16
  epochs: 3
  steps: 100
  validate_every: 10
  patience: 2
  reset_moments_every: 500
  reset_moments_epoch: true
  validation_calibration_batches: 6
  checkpoint_every_steps: 50
  checkpoint_every_seconds: 30
`

func parse(t *testing.T, content string) *Suite {
	t.Helper()
	s, err := Parse("test", []byte(content))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return s
}

func TestParseReadsEveryKey(t *testing.T) {
	t.Parallel()
	s := parse(t, complete)
	want := Training{
		Optimiser: model.Adam, LearningRate: 0.002, FinalLearningRate: 0.001, Decay: Exponential, ClipNorm: 0.25, Arithmetic: model.BFloat16,
		Epochs: 3, Steps: 100, ValidateEvery: 10, Patience: 2, ResetMomentsEvery: 500, ResetMomentsEpoch: true,
		ValidationCalibration: 6, CheckpointSteps: 50, CheckpointSeconds: 30,
	}
	if diff := cmp.Diff(want, s.Tasks[0].Training); diff != "" {
		t.Errorf("training of the first task (-want +got):\n%s", diff)
	}
	want.Epochs, want.Decay, want.FinalLearningRate = 9, Constant, 0
	if diff := cmp.Diff(want, s.Tasks[1].Training); diff != "" {
		t.Errorf("training of the second task, with its own keys (-want +got):\n%s", diff)
	}
	if got := s.Backends[0].Options["threads"]; got != "1" {
		t.Errorf("backend option threads = %q, want 1", got)
	}
}

func TestCombinationsFollowTheFile(t *testing.T) {
	t.Parallel()
	var got []string
	for _, c := range parse(t, complete).Combinations() {
		if c.Seed == 7 {
			continue
		}
		got = append(got, strings.Join([]string{c.Task.Label, c.Model.Label, c.Quantizer.Label, c.Model.Options["normalization"]}, " "))
	}
	want := []string{
		"grammar small none batch",
		"grammar small binaryconnect none", // the quantizer's model option replaces the model's
		"long small none batch",
		"long small binaryconnect none",
		"long large none ", // binaryconnect is meant for small alone
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("combinations of seed 1 (-want +got):\n%s", diff)
	}
}

// Options of one combination must not leak into another through a shared map.
func TestModelOptionsStayApart(t *testing.T) {
	t.Parallel()
	s := parse(t, complete)
	before := s.Models[0].Options["normalization"]
	s.Combinations()[0].Model.Options["normalization"] = "changed"
	if got := s.Models[0].Options["normalization"]; got != before {
		t.Errorf("the suite's own model option became %q, want %q", got, before)
	}
}

func TestMistakesAreProblemsOfOneSentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "threads: 3", "thread: 3", `test, line 5: there is no key "thread", did you mean "threads"?`},
		{"unknown key in a list", "batch: 4", "bach: 4", `test, line 7: there is no key "tasks[0].bach", did you mean "tasks[0].batch"?`},
		{"unknown key of a task's training", "{epochs: 9,", "{epoch: 9,", `test, line 8: there is no key "tasks[1].training.epoch", did you mean "tasks[1].training.epochs"?`},
		{"key in another case", "threads: 3", "Threads: 3", `test, line 5: there is no key "Threads", did you mean "threads"?`},
		{"key of another mapping", "threads: 3", "clip_norm: 3", `test, line 5: there is no key "clip_norm", did you mean "training.clip_norm"?`},
		{"dotted key", "threads: 3", `"training.steps": 7`, `test, line 5: there is no key "training.steps"; a dot does not nest keys, indentation does`},
		{"dotted key of a list", "batch: 4", `"training.steps": 4`, `test, line 7: there is no key "tasks[0].training.steps"; a dot does not nest keys`},
		{"key twice", "threads: 3", "threads: 3\nthreads: 4", `test, line 6: the key "threads" is given in line 5 already; keep one of the two`},
		{"key twice in two cases", "threads: 3", "threads: 3\nThreads: 4", `test, line 6: the key "Threads" is given in line 5 already`},
		{"option twice in a mapping", "[units=8,", "[{units: 8, UNITS: 9},", `test, line 10: the key "UNITS" is given in line 10 already`},
		{"key of another kind", "threads: 3", "[threads]: 3", `test, line 5: a key must be a single word`},
		{"missing key", "plugin: cpu, ", "", `test, line 16: backends[0] lacks the key "plugin": a name that bittern plugins list shows`},
		{"missing data", "data: grammar, batch: 4", "batch: 4", "test, line 7: tasks[0]: it has no data; give data, which `bittern data list` shows, or text"},
		{"data and a text", "data: grammar, batch: 4", "data: grammar, text: my.txt", "test, line 7: tasks[0]: both data and text are given; take one of them out"},
		{"split of a data set", "batch: 4", "split: [0.9, 0.05, 0.05]", "test, line 7: tasks[0]: split is for a text of your own"},
		{"split of words", "data: grammar, batch: 4", "text: my.txt, split: [most, some]", `test, line 7: tasks[0]: split must be three fractions such as [0.9, 0.05, 0.05], not "most, some"`},
		{"unknown task", "{data: grammar, batch: 4", "{task: charcters, data: grammar, batch: 4", `test, line 7: tasks[0]: there is no task "charcters", did you mean "characters"?; the tasks are characters, words, smnist`},
		{"option of another task", "{data: grammar, batch: 4, length: 5, bytes: 1000}", "{task: smnist, length: 5}", `test, line 7: there is no key "tasks[0].length"; the options of the task smnist are batch, train_images, train_labels, test_images, test_labels, valid`},
		{"some files of images", "{data: grammar, batch: 4, length: 5, bytes: 1000}", "{task: smnist, train_images: a, valid: 3}", "test, line 7: tasks[0]: train_labels is not given; data of your own needs train_images, train_labels, test_images, test_labels"},
		{"images that do not validate", "{data: grammar, batch: 4, length: 5, bytes: 1000}", "{task: psmnist, valid: 3}", "test, line 7: tasks[0]: valid is 3; give how many of your own images validate, and leave it out for a data set"},
		{"delay", "{data: grammar, batch: 4, length: 5, bytes: 1000}", "{task: delayed-copy, length: 5, delay: 5}", "test, line 7: tasks[0]: the delayed copying task cannot have a delay of 5 in 5 steps"},
		{"list of the wrong things", "- {plugin: none}", "- none", `test, line 13: quantizers[0] must be keys with their values, such as {plugin: none}`},
		{"list for a value", "threads: 3", "threads: [3]", "test, line 5: threads must be a single value, not a list"},
		{"wrong type", "threads: 3", "threads: many", `test, line 5: threads must be a whole number between 1 and 1024, not "many"`},
		{"fraction", "batch: 4", "batch: 4.7", "test, line 7: tasks[0].batch must be a whole number between 1 and 65536, not 4.7"},
		{"number that may be octal", "threads: 3", "threads: 010", "test, line 5: threads must be a whole number between 1 and 1024, not 010"},
		{"number too large", "threads: 3", "threads: 99999999999999999999", "threads must be a whole number between 1 and 1024, not 99999999999999999999"},
		{"value left out", "threads: 3", "threads:", "test, line 5: threads must be a whole number between 1 and 1024, not nothing"},
		{"text left out", "summary: every key once", "summary:", "test, line 3: summary has no value"},
		{"text with an escape code", "summary: every key once", `summary: "\e[2J"`, "test, line 3: summary must be one line without control characters"},
		{"not true or false", "reset_moments_epoch: true", "reset_moments_epoch: yes", `training.reset_moments_epoch must be true or false, not "yes"`},
		{"not YAML", "threads: 3", "threads: [3", "test is not valid YAML: line"},
		{"alias", "threads: 3", "threads: &n 3", "test, line 5: anchors and aliases (&name, *name) cannot be used here"},
		{"merge", "threads: 3", "<<: {threads: 3}", "test, line 5: a key must be a single word"},
		{"tag", "threads: 3", "threads: !!str 3", `test, line 5: the tag "!!str" cannot be used here`},
		{"second document", "threads: 3", "threads: 3\n---\nname: other", "a second document begins here"},
		{"threads", "threads: 3", "threads: 0", "test, line 5: threads must be a whole number between 1 and 1024, not 0"},
		{"no seeds", "seeds: [1, 7]", "seeds: []", "test, line 4: seeds must be a list of 1 to 4096 entries, not 0"},
		{"seed twice", "seeds: [1, 7]", "seeds: [7, 7]", "test, line 4: seed 7 is listed twice"},
		{"negative seed", "seeds: [1, 7]", "seeds: [-1]", "test, line 4: seeds[0] must be a whole number of at least 0, not -1"},
		{"seeds in a text", "seeds: [1, 7]", `seeds: "1,7"`, `test, line 4: seeds must be a whole number of at least 0, or a list of them such as [1, 2, 3], not "1,7"`},
		{"batch", "batch: 4", "batch: 0", "test, line 7: tasks[0].batch must be a whole number between 1 and 65536, not 0"},
		{"bytes", "bytes: 1000", "bytes: -1", "test, line 7: tasks[0].bytes must be a whole number between 0 and"},
		{"label twice", "label: large", "label: small", `test, line 11: two models are called "small"`},
		{"label as another's name", "label: long", "label: grammar", `test, line 8: two tasks are called "grammar"`},
		{"unknown task of a model", "tasks: [long]", "tasks: [lang]", `test, line 11: model "large" is meant for the task "lang", which is not listed, did you mean "long"?`},
		{"unknown model of a quantizer", "models: [small]", "models: [smal]", `test, line 14: quantizer "binaryconnect" is meant for the model "smal", which is not listed, did you mean "small"?`},
		{"option form", "units=8", "units:8", `test, line 10: models[0].options: "units:8" is no option; write options as [units=64] or {units: 64}, and quote a value that has a comma`},
		{"option with a comma", "units=8", "parts=a, b", `test, line 10: models[0].options: "b" is no option; write options as [units=64] or {units: 64}, and quote a value that has a comma`},
		{"option without a name", "units=8", "=8", "test, line 10: models[0].options has an option without a name; write options as [units=64] or {units: 64}"},
		{"list in options", "[units=8,", "[[units=8],", "test, line 10: models[0].options has an entry that is no option; write options as"},
		{"option twice", "units=8", "units=8, units=9", `models[0].options: option "units" is given twice`},
		{"option of many values", "[units=8,", "[units: [8, 9],", "test, line 10: models[0].options.units must be a single value, not a list"},
		{"environment form", "environment: [CUDA_HOME, ", "environment: [A=1, ", `backend "cpu": environment must list names of variables, such as [CUDA_HOME], not "A=1"`},
		{"memory bound", "memory_mib: 2048", "memory_mib: -1", "memory_mib must be a whole number between 0 and 16777216, not -1"},
		{"processor bound", "processors: 2", "processors: 2000", "processors must be a whole number between 0 and 1024, not 2000"},
		{"checksum form", strings.Repeat("ab", 32), "abc", `test, line 14: quantizer "binaryconnect": sha256 must be 64 hexadecimal digits`},
		{"optimiser", "optimiser: adam", "optimiser: adamw", `test, line 18: training.optimiser must be adam or sgd, not "adamw", did you mean "adam"?`},
		{"learning rate", "learning_rate: 0.002\n", "learning_rate: 0\n", "training.learning_rate must be a number above 0, not 0"},
		{"not a number", "learning_rate: 0.002\n", "learning_rate: .nan\n", "training.learning_rate must be a number above 0, not .nan"},
		{"not finite", "clip_norm: 0.25", "clip_norm: inf", `training.clip_norm must be a number of at least 0, not "inf"`},
		{"final rate without decay", "  decay: exponential", "  decay: constant", `test, line 20: training of task "grammar": final_learning_rate needs decay: exponential or decay_on_rise`},
		{"decay without final rate", "  final_learning_rate: 0.001\n", "", `test, line 20: training of task "grammar": decay: exponential needs a final_learning_rate above 0`},
		{"final rate of a task", "decay: constant, final_learning_rate: 0}", "decay: constant}", `test, line 20: training of task "long": final_learning_rate needs decay: exponential or decay_on_rise`},
		{"decay", "  decay: exponential", "  decay: linear", `training.decay must be constant or exponential, not "linear"`},
		{"decay on rise of 1", "  decay: exponential", "  decay: constant\n  decay_on_rise: 1", `training of task "grammar": decay_on_rise must be above 1, or 0 to be off, not 1`},
		{"decay on rise, too large", "  decay: exponential", "  decay: constant\n  decay_on_rise: 1001", `training.decay_on_rise must be a number between 0 and 1000, not 1001`},
		{"both decays", "  decay: exponential", "  decay: exponential\n  decay_on_rise: 4", `training of task "grammar": decay_on_rise needs decay: constant`},
		{"final rate above the first", "learning_rate: 0.002\n  final_learning_rate: 0.001\n  decay: exponential", "learning_rate: 0.002\n  final_learning_rate: 0.003\n  decay: constant\n  decay_on_rise: 4", `final_learning_rate must not be above learning_rate`},
		{"epochs", "  epochs: 3", "  epochs: 0", "training.epochs must be a whole number between 1"},
		{"name", "name: two-by-two", "name: two words", `test, line 2: name must be one word, such as char-small, not "two words"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := strings.Replace(complete, c.old, c.new, 1)
			if content == complete {
				t.Fatalf("the mistake %q was not made: %q is not in the suite", c.new, c.old)
			}
			_, err := Parse("test", []byte(content))
			var problem *plugins.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("Parse = %v, want a *plugins.Problem", err)
			}
			if !strings.Contains(problem.Sentence, c.want) || strings.Contains(problem.Sentence, "\n") {
				t.Errorf("sentence = %q, want one line with %q", problem.Sentence, c.want)
			}
		})
	}
}

// What users write in place of the one form that the examples show means the same.
func TestParseAcceptsWhatUsersTry(t *testing.T) {
	t.Parallel()
	want := parse(t, complete)
	for _, c := range []struct{ name, old, new string }{
		{"options as a mapping", "[units=8, normalization=batch]", "{units: 8, normalization: batch}"},
		{"options as a list of mappings", "[units=8, normalization=batch]", "[units: 8, normalization: batch]"},
		{"options of both forms", "[units=8, normalization=batch]", "[units=8, normalization: batch]"},
		{"one option without brackets", "options: [threads=1]", "options: threads=1"},
		{"one label without brackets", "tasks: [long]", "tasks: long"},
		{"one entry without brackets", "backends:\n  - {plugin: cpu, options: [threads=1], ", "backends: {plugin: cpu, options: [threads=1], "},
		{"digits in groups", "bytes: 1000", "bytes: 1_000"},
		{"a number in quotes", "threads: 3", `threads: "3"`},
		{"an option's digits in groups", "[units=8, normalization=batch]", "{units: 8_, normalization: batch}"},
		{"false in capitals", "reset_moments_epoch: true", "reset_moments_epoch: True"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := strings.Replace(complete, c.old, c.new, 1)
			if content == complete {
				t.Fatalf("%q is not in the suite", c.old)
			}
			if diff := cmp.Diff(want, parse(t, content), cmpopts.IgnoreTypes(Place{})); diff != "" {
				t.Errorf("suite (-want +got):\n%s", diff)
			}
		})
	}
	odd := parse(t, strings.Replace(complete, "[units=8, normalization=batch]", `["a=b,c", d: "e=f,g", h: true, i: 0.5, j: a=b]`, 1))
	if diff := cmp.Diff(plugins.Values{"a": "b,c", "d": "e=f,g", "h": "true", "i": "0.5", "j": "a=b"}, odd.Models[0].Options); diff != "" {
		t.Errorf("options with commas and equals signs (-want +got):\n%s", diff)
	}
	one := parse(t, strings.Replace(complete, "seeds: [1, 7]", "seeds: 1", 1))
	if diff := cmp.Diff([]uint64{1}, one.Seeds); diff != "" {
		t.Errorf("seeds: 1 (-want +got):\n%s", diff)
	}
	bare := parse(t, strings.Replace(complete, "  - {plugin: cpu,", "  # - {plugin: cpu,", 1))
	if len(bare.Backends) != 0 {
		t.Errorf("backends whose entries are comments = %v, want none", bare.Backends)
	}
}

// TestParseIsBounded parses what would cost a lenient reader minutes or all memory.
func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, content, want string }{
		{"nested mappings", strings.Repeat("{a: ", 2000) + "1" + strings.Repeat("}", 2000), "test, line 1: it is nested more than 64 levels deep"},
		{"nested lists", complete + "backends2: " + strings.Repeat("[", 65) + strings.Repeat("]", 65), "nested more than 64 levels deep"},
		{"deeper than the YAML reader goes", strings.Repeat("[", 1<<19), "test is not valid YAML: exceeded max depth"},
		{"size", "# " + strings.Repeat("x", 1<<20), "test is longer than 1048576 bytes"},
		{"missing lists", "name: a\nseeds: 1\ntasks: []", "test, line 3: tasks must be a list of 1 to 256 entries, not 0"},
		{"nothing", "", "test: it is empty"},
		{"comments alone", "# nothing\n", "test: it is empty"},
		{"seeds", strings.Replace(complete, "seeds: [1, 7]", "seeds: ["+many(5000, "%d, ")+"]", 1), "seeds must be a list of 1 to 4096 entries, not 5000"},
		{"experiments", strings.NewReplacer(
			"seeds: [1, 7]", "seeds: ["+many(4096, "%d, ")+"]",
			"  - {plugin: none}", many(100, "  - {label: q%d, plugin: none}\n"),
		).Replace(complete), "it asks for 1236992 experiments, and one suite may have 100000"},
		{"a key of 100 kB", "? " + strings.Repeat("k", 100_000) + "\n: 1", "there is no key \"" + strings.Repeat("k", 60) + "…\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("test", []byte(c.content))
			problem, ok := errors.AsType[*plugins.Problem](err)
			if !ok || !strings.Contains(problem.Sentence, c.want) || len(problem.Sentence) > 400 {
				t.Errorf("Parse = %v, want a Problem of at most 400 bytes with %q", err, c.want)
			}
		})
	}
}

// FuzzParse: whatever the bytes are, Parse answers a suite, the same each time, or a
// *plugins.Problem of one bounded line that can be printed.
func FuzzParse(f *testing.F) {
	f.Add([]byte(complete))
	for _, seed := range []string{
		"name: x\nparts: [demo, paper-gru]", "name: x\nparts: demo", "parts: [paper]\nname: x", "name: x\nparts: [a, ~]\nseeds: [1]",
		"", "---\n...\n", "name: x\nname: y", "a: &a [*a]", "<<: *x", "? {a: b}\n: c", "[1, {2: 3}]", "!!binary aGk=", "name: !x y",
		"seeds: [0x10, 010, 1e3, .inf, ~]", "training.steps: 7", "tasks: [{training: {epochs: 1}}]", "\xff\xfe", "\ufeffname: x", "name: \"\\0\"",
		"models: {plugin: lstm, options: [a=b, {c: d}, [e]]}", strings.Repeat("[", 70), strings.Repeat("{a: ", 70), "a: |\n b\n\n\tc",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := Parse("test", content)
		again, errAgain := Parse("test", content)
		if diff := cmp.Diff(s, again, cmpopts.IgnoreTypes(Place{})); diff != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("parsed twice: %v and %v\n%s", err, errAgain, diff)
		}
		if err == nil {
			if n := len(s.Combinations()); n < 1 || n > maxExperiments {
				t.Errorf("%d experiments, want 1 to %d", n, maxExperiments)
			}
			return
		}
		problem, ok := errors.AsType[*plugins.Problem](err)
		if !ok {
			t.Fatalf("Parse = %v (%T), want a *plugins.Problem", err, err)
		}
		if strings.ContainsFunc(problem.Sentence, unicode.IsControl) || len(problem.Sentence) > 1000 {
			t.Errorf("sentence = %q, want one printable line", problem.Sentence)
		}
	})
}

// Keys lists every field that a file can set, each with its meaning.
func TestKeys(t *testing.T) {
	t.Parallel()
	keys := make(map[string]Key)
	for _, k := range Keys() {
		if k.Doc == "" || k.Type == "" {
			t.Errorf("key %s has no type or no meaning: %+v", k.Name, k)
		}
		if k.Type == "whole number" && k.Allowed == "" {
			t.Errorf("key %s is a number without bounds", k.Name)
		}
		keys[k.Name] = k
	}
	for _, want := range []Key{
		{Name: "threads", Type: "whole number", Default: "2", Allowed: "between 1 and 1024", Flag: "threads"},
		{Name: "seeds", Type: "list of whole numbers", Required: true, Allowed: "1 to 4096 entries", Flag: "seeds"},
		{Name: "tasks[].bytes", Task: "characters", Type: "whole number", Default: "0", Allowed: "between 0 and 1000000000000", Flag: "bytes"},
		{Name: "models[].plugin", Type: "text", Required: true},
		{Name: "quantizers[].model_options", Type: "options"},
		{Name: "training.decay", Type: "text", Default: "constant", Allowed: "constant, exponential"},
		{Name: "training.learning_rate", Type: "number", Default: "0.002", Allowed: "above 0"},
		{Name: "training.reset_moments_epoch", Type: "true or false", Default: "false"},
	} {
		got := keys[want.Name]
		got.Doc = ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("key %s (-want +got):\n%s", want.Name, diff)
		}
	}
	for _, structure := range []reflect.Type{
		reflect.TypeFor[Suite](), reflect.TypeFor[Task](), reflect.TypeFor[Plugin](), reflect.TypeFor[Model](), reflect.TypeFor[Quantizer](), reflect.TypeFor[Training](),
	} {
		for _, f := range reflect.VisibleFields(structure) {
			taskOptions := structure == reflect.TypeFor[Task]() && f.Name == "Options" // keys of their own
			loaded := structure == reflect.TypeFor[Suite]() && f.Name == "Suites"      // what parts name
			noted := f.Type == reflect.TypeFor[Place]()                                // by the decoder
			if !f.Anonymous && f.Tag.Get("key") == "" && !taskOptions && !loaded && !noted {
				t.Errorf("field %s of %s has no key: a file cannot set it", f.Name, structure)
			}
		}
	}
}

func TestEmbeddedSuitesLoad(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"bfloat16", "char-small", "demo", "demo-smallest", "hardware", "normalized", "paper", "paper-characters", "paper-gru", "paper-hardware", "paper-mnist", "paper-qa", "paper-words", "quantizers", "quantizers-best"}, Names()); diff != "" {
		t.Fatalf("embedded suites (-want +got):\n%s", diff)
	}
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			t.Errorf("Load(%q): %v", name, err)
		} else if s.Name != name {
			t.Errorf("suite file %s.yaml is named %q", name, s.Name)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte(complete), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(file); err != nil || s.Name != "two-by-two" {
		t.Errorf("Load(file) = %v, %v, want the suite two-by-two", s, err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), 1<<19+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for nameOrPath, want := range map[string]string{
		"char-smal":           `there is no suite "char-smal", did you mean "char-small"?`,
		"no/such.yaml":        "there is no suite file no/such.yaml",
		filepath.Dir(file):    "cannot be read (it is a folder)",
		large:                 "cannot be read (it is longer than 1048576 bytes",
		"entirely-else-where": `there is no suite "entirely-else-where"; give the path of a YAML file or one of bfloat16, char-small, demo, demo-smallest, hardware, normalized, paper, paper-characters, paper-gru, paper-hardware, paper-mnist, paper-qa, paper-words, quantizers, quantizers-best`,
	} {
		_, err := Load(nameOrPath)
		var problem *plugins.Problem
		if !errors.As(err, &problem) || !strings.Contains(problem.Sentence, want) {
			t.Errorf("Load(%q) = %v, want a Problem with %q", nameOrPath, err, want)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	s := parse(t, complete)
	four, five, six := 4, 5, 6
	if err := s.Apply(Override{Seeds: []uint64{42}, Threads: &four, Epochs: &five, Steps: &six}); err != nil {
		t.Fatal(err)
	}
	if len(s.Seeds) != 1 || s.Seeds[0] != 42 || s.Threads != 4 {
		t.Errorf("seeds %v, threads %d, want [42] and 4", s.Seeds, s.Threads)
	}
	for _, task := range s.Tasks { // the second sets its own epochs
		if task.Training.Epochs != 5 || task.Training.Steps != 6 {
			t.Errorf("task %s: epochs %d, steps %d, want 5 and 6", task.Label, task.Training.Epochs, task.Training.Steps)
		}
	}
	zero, negative := 0, -1
	for want, override := range map[string]Override{
		"--epochs must be a whole number between 1 and 1048576, not 0":       {Epochs: &zero},
		"--threads must be a whole number between 1 and 1024, not 0":         {Threads: &zero},
		"--bytes must be a whole number between 0 and 1000000000000, not -1": {Bytes: &negative},
		"seed 3 is listed twice":                                {Seeds: []uint64{3, 3}},
		"--seeds must be a list of 1 to 4096 entries, not 5000": {Seeds: make([]uint64, 5000)},
	} {
		var problem *plugins.Problem
		if err := parse(t, complete).Apply(override); !errors.As(err, &problem) || !strings.Contains(problem.Sentence, want) {
			t.Errorf("Apply = %v, want a Problem with %q", err, want)
		}
	}
}

// An entry leaves out what its task has a default for, and is called by what tells it from others.
func TestTasksAreCompleted(t *testing.T) {
	t.Parallel()
	s := parse(t, strings.Replace(complete, "  - {data: grammar, batch: 4, length: 5, bytes: 1000}\n", `  - {data: grammar}
  - {task: smnist}
  - {task: characters, text: my.txt, split: [0.8, 0.1, 0.1], bytes: 1_000}
`, 1))
	type entry struct{ label, task, data, split, batch string }
	var got []entry
	for _, e := range s.Tasks[:3] {
		got = append(got, entry{e.Label, e.Task, e.Data, e.Options["split"], e.Options["batch"]})
	}
	want := []entry{
		{"grammar", "characters", "grammar", "", "64"},
		{"smnist", "smnist", "mnist", "", "100"},
		{"characters", "characters", "", "0.8, 0.1, 0.1", "64"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	seven := 7
	if err := s.Apply(Override{Bytes: &seven}); err != nil {
		t.Fatal(err)
	}
	if text, images := s.Tasks[2].Options["bytes"], s.Tasks[1].Options["bytes"]; text != "7" || images != "" {
		t.Errorf("--bytes 7: the text has %q bytes and the images %q, want 7 and no such option", text, images)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	decaying := Training{LearningRate: 0.002, FinalLearningRate: 0.001, Decay: Exponential}
	for _, c := range []struct {
		step, total int
		want        float64
	}{
		{0, 5, 0.002},
		{2, 5, 0.002 / math.Sqrt2}, // half way of a halving, geometrically
		{4, 5, 0.001},
		{0, 1, 0.002},
	} {
		if got := decaying.Rate(c.step, c.total, 3); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Rate(%d, %d) = %v, want %v", c.step, c.total, got, c.want)
		}
	}
	constant := Training{LearningRate: 20, Decay: Constant}
	if got := constant.Rate(3, 5, 2); got != 20 {
		t.Errorf("constant Rate = %v, want 20", got)
	}
	rising := Training{LearningRate: 20, Decay: Constant, DecayOnRise: 4, FinalLearningRate: 1}
	for rises, want := range []float64{20, 5, 1.25, 1, 1} {
		if got := rising.Rate(3, 5, rises); got != want {
			t.Errorf("after %d rises: Rate = %v, want %v", rises, got, want)
		}
	}
}

func TestOverrideArithmetic(t *testing.T) {
	t.Parallel()
	s := parse(t, complete)
	if err := s.Apply(Override{Arithmetic: "float32"}); err != nil || s.Tasks[1].Training.Arithmetic != model.Float32 {
		t.Errorf("got %q (%v), want float32", s.Tasks[1].Training.Arithmetic, err)
	}
	err := s.Apply(Override{Arithmetic: "bfloat"})
	if err == nil || !strings.Contains(err.Error(), `--arithmetic must be one of auto, float32, bfloat16, not "bfloat"`) {
		t.Errorf("got error %v, want one that says what is allowed", err)
	}
}
