package builtin_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bittern/builtin"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
)

// learners are the quantizers that must learn, as a suite lists them: each with its
// defaults, and with the options that make another rule of it.
var learners = []string{
	"{plugin: none}",
	"{plugin: fixed-point}",
	"{plugin: fixed-point, label: fixed-point 3 bits, options: [bits=3]}",
	"{plugin: stochastic-binary}",
	"{plugin: stochastic-binary, label: stochastic-binary deterministic, options: [sampling=deterministic]}",
	"{plugin: stochastic-ternary}",
	"{plugin: stochastic-ternary, label: stochastic-ternary deterministic, options: [sampling=deterministic]}",
	"{plugin: binaryconnect}",
	"{plugin: binaryconnect, label: binaryconnect stochastic, options: [sampling=stochastic]}",
	"{plugin: binaryconnect, label: binaryconnect of Hou et al., options: [scale=one, clip=false]}",
	"{plugin: ternaryconnect}",
	"{plugin: ternaryconnect, label: ternaryconnect of Hou et al., options: [sampling=deterministic, scale=one, clip=false]}",
	"{plugin: bwn}",
	"{plugin: bwn, label: bwn of Hou et al., options: [scale=matrix, gradient=straight-through]}",
	"{plugin: twn}",
	"{plugin: twn, label: twn per row, options: [scale=row]}",
	"{plugin: absmean}",
	"{plugin: dorefa}",
	"{plugin: dorefa, label: dorefa 1 bit, options: [bits=1]}",
	"{plugin: dorefa, label: dorefa without normalization, options: [bits=4, scale=max], model_options: [normalization=none]}",
	"{plugin: lab}",
	"{plugin: lat}",
	"{plugin: lat, label: lat exact, options: [solver=exact]}",
	"{plugin: laq}",
	"{plugin: laq, label: laq logarithmic, options: [levels=logarithmic]}",
	"{plugin: laq, label: laq published code, options: [scale=published-code]}",
	"{plugin: alternating}",
	"{plugin: alternating, label: alternating greedy, options: [solver=greedy]}",
	"{plugin: alternating, label: alternating refined, options: [solver=refined, bits=3]}",
	"{plugin: ttq}",
	"{plugin: ttq, label: ttq without normalization, options: [initial=mean], model_options: [normalization=none]}",
	"{plugin: lsq}",
	"{plugin: lsq, label: lsq 1 bit, options: [bits=1]}",
	"{plugin: lsq, label: lsq 4 bits per row, options: [bits=4, range=symmetric, scale=row]}",
}

// leastAccuracy is what a learner must reach in %, deployed: weights drawn once,
// statistics frozen. A network that remembers nothing has 12.5.
const leastAccuracy = 70

// TestQuantizersLearnToRemember trains a small LSTM on the generated memory task with
// every quantizer, in the whole harness and with every plugin in a process of its own.
func TestQuantizersLearnToRemember(t *testing.T) {
	t.Parallel()
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
		named := func(entry string) bool { return strings.Contains(entry, "{plugin: "+plugin.ID.Name) }
		if plugin.ID.Kind == plugins.KindQuantizer && plugin.ID.Name != "null" && !slices.ContainsFunc(learners, named) {
			t.Errorf("%s is a built-in quantizer and is not among the learners", plugin.ID)
		}
	}
	catalogue, err := host.NewCatalogue(ids, "")
	must(t, err)
	parsed, err := suite.Parse("memory", fmt.Appendf(nil, `
name: memory
seeds: [1]
threads: 1
tasks:
  - {task: delayed-copy, batch: 32, length: 12, delay: 2, examples: 6144, evaluated: 128}
models:
  - {plugin: lstm, options: [units=32, normalization=layer]}
quantizers: [%s]
backends:
  - {plugin: cpu, options: [activations=exact]}
training: {learning_rate: 0.02, epochs: 1, validate_every: 96}
freeze: {draws: 1}
`, strings.Join(learners, ", ")))
	must(t, err)
	specs, err := schedule.Prepare(t.Context(), parsed, catalogue, "")
	must(t, err)
	for _, spec := range specs {
		t.Run(spec.Quantizer.Label, func(t *testing.T) {
			t.Parallel()
			runs, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "runs"))
			must(t, err)
			defer func() { must(t, runs.Close()) }()
			runner := experiment.Runner{
				Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(line string) { t.Log(line) },
			}
			failed, err := runner.Run(t.Context(), spec, func(experiment.Progress) {})
			if err != nil || len(failed) > 0 {
				t.Fatalf("%v, %v", failed, err)
			}
			row, err := spec.Row()
			must(t, err)
			row, err = runs.Experiment(t.Context(), row.ID)
			must(t, err)
			deployed, err := runs.Deployments(t.Context(), row.ID)
			must(t, err)
			if len(deployed) != 1 || deployed[0].Metric == nil || row.FrozenModel == nil {
				t.Fatalf("deployments %+v, frozen %v; want one with a figure", deployed, row.FrozenModel)
			}
			t.Logf("%v %% after %d steps", *deployed[0].Metric, row.Steps)
			if got := *deployed[0].Metric; !(got >= leastAccuracy) {
				t.Errorf("an accuracy of %.1f %% after %d steps, want at least %d %%: a network that remembers nothing has 12.5 %%", got, row.Steps, leastAccuracy)
			}
			if *deployed[0].Metric != *row.FrozenModel || deployed[0].Doubt != "" {
				t.Errorf("an accuracy of %v %% deployed and %v %% in training's arithmetic, doubt %q; want the same and none", *deployed[0].Metric, *row.FrozenModel, deployed[0].Doubt)
			}
		})
	}
}
