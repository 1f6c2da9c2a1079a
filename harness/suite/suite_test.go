package suite

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
	"bittern/plugins/model"
)

const complete = `
name: two-by-two
summary: every key once
seeds: [1, 7]
threads: 3
tasks:
  - {corpus: grammar, batch: 4, length: 5, bytes: 1000}
  - {label: long, corpus: grammar, batch: 2, length: 50, training: {epochs: 9, decay: constant, final_learning_rate: 0}}
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
  epochs: 3
  steps: 100
  validate_every: 10
  patience: 2
  reset_moments_every: 500
  reset_moments_epoch: true
  calibration_batches: 6
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
		Optimiser: model.Adam, LearningRate: 0.002, FinalLearningRate: 0.001, Decay: Exponential, ClipNorm: 0.25,
		Epochs: 3, Steps: 100, ValidateEvery: 10, Patience: 2, ResetMomentsEvery: 500, ResetMomentsEpoch: true,
		Calibration: 6, CheckpointSteps: 50, CheckpointSeconds: 30,
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
	cpu := Plugin{
		Label: "cpu", Plugin: "cpu", Options: plugins.Values{"threads": "1"},
		Environment: []string{"CUDA_HOME", "OMP_NUM_THREADS"}, MemoryMiB: 2048, Processors: 2,
	}
	if diff := cmp.Diff(cpu, s.Backends[0]); diff != "" {
		t.Errorf("backend (-want +got):\n%s", diff)
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
		{"unknown key", "threads: 3", "thread: 3", `there is no key "thread", did you mean "threads"?`},
		{"unknown key in a list", "batch: 4", "bach: 4", `there is no key "tasks[0].bach", did you mean "tasks[0].batch"?`},
		{"unknown key of a task's training", "{epochs: 9,", "{epoch: 9,", `training of task 2: there is no key "epoch", did you mean "epochs"?`},
		{"wrong type", "threads: 3", "threads: many", "threads"},
		{"not YAML", "threads: 3", "threads: [3", "not valid YAML"},
		{"threads", "threads: 3", "threads: 0", "threads must be between 1 and 1024, not 0"},
		{"no seeds", "seeds: [1, 7]", "seeds: []", "seeds must list at least one number"},
		{"seed twice", "seeds: [1, 7]", "seeds: [7, 7]", "seed 7 is listed twice"},
		{"negative seed", "seeds: [1, 7]", "seeds: [-1]", "seeds[0]"},
		{"batch", "batch: 4", "batch: 0", "task grammar: batch must be between 1 and 65536, not 0"},
		{"bytes", "bytes: 1000", "bytes: -1", "task grammar: bytes must not be negative"},
		{"label twice", "label: large", "label: small", `two models are called "small"`},
		{"unknown task of a model", "tasks: [long]", "tasks: [lang]", `model large is meant for the task "lang", which is not listed, did you mean "long"?`},
		{"option form", "units=8", "units:8", `option "units:8" must be written name=value`},
		{"option twice", "units=8", "units=8, units=9", "option units is given twice"},
		{"environment form", "environment: [CUDA_HOME, ", "environment: [A=1, ", `backend cpu: environment must list names of variables, such as [CUDA_HOME], not "A=1"`},
		{"memory bound", "memory_mib: 2048", "memory_mib: -1", "backend cpu: memory_mib must be between 0 and 16777216, not -1"},
		{"processor bound", "processors: 2", "processors: 2000", "backend cpu: processors must be between 0 and 1024, not 2000"},
		{"checksum form", strings.Repeat("ab", 32), "abc", "quantizer binaryconnect: sha256 must be 64 hexadecimal digits"},
		{"optimiser", "optimiser: adam", "optimiser: adamw", `optimiser "adamw" must be adam or sgd`},
		{"learning rate", "learning_rate: 0.002\n", "learning_rate: 0\n", "learning_rate must be a number above 0"},
		{"not a number", "learning_rate: 0.002\n", "learning_rate: .nan\n", "learning_rate must be a number above 0"},
		{"final rate without decay", "  decay: exponential", "  decay: constant", "final_learning_rate needs decay: exponential"},
		{"decay", "  decay: exponential", "  decay: linear", `decay "linear" must be constant or exponential`},
		{"epochs", "  epochs: 3", "  epochs: 0", "epochs must be between 1"},
		{"name", "name: two-by-two", "name: two words", "name must be one word"},
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

func TestEmbeddedSuitesLoad(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"char-small", "demo", "demo-smallest"}, Names()); diff != "" {
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
	for nameOrPath, want := range map[string]string{
		"char-smal":           `there is no suite "char-smal", did you mean "char-small"?`,
		"no/such.yaml":        "there is no suite file no/such.yaml",
		filepath.Dir(file):    "cannot be read",
		"entirely-else-where": `there is no suite "entirely-else-where"; give the path of a YAML file or one of char-small, demo, demo-smallest`,
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
	zero := 0
	var problem *plugins.Problem
	if err := s.Apply(Override{Epochs: &zero}); !errors.As(err, &problem) {
		t.Errorf("Apply(epochs 0) = %v, want a Problem", err)
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
		if got := decaying.Rate(c.step, c.total); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Rate(%d, %d) = %v, want %v", c.step, c.total, got, c.want)
		}
	}
	constant := Training{LearningRate: 20, Decay: Constant}
	if got := constant.Rate(3, 5); got != 20 {
		t.Errorf("constant Rate = %v, want 20", got)
	}
}
