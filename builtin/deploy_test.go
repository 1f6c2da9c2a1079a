package builtin_test

import (
	"math"
	"testing"
	"time"

	"bittern/builtin"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
)

// TestEveryNormalizationIsDeployed trains, freezes and exports small networks and deploys
// them on cpu and on an accelerator, whose scores must be the frozen network's own within what
// they claim.
func TestEveryNormalizationIsDeployed(t *testing.T) {
	t.Parallel()
	var ids []plugins.ID
	descriptions := map[plugins.ID]plugins.Description{}
	for _, plugin := range builtin.Plugins() {
		d, err := plugin.Describe(t.Context())
		must(t, err)
		ids, descriptions[plugin.ID] = append(ids, plugin.ID), d
	}
	catalogue, err := host.NewCatalogue(ids, "")
	must(t, err)
	plugin := func(kind plugins.Kind, name string, options plugins.Values) experiment.Plugin {
		d := descriptions[plugins.ID{Kind: kind, Name: name}]
		resolved, err := plugins.Resolve(name, d.Options, options)
		must(t, err)
		return experiment.Plugin{Label: name, Name: name, Options: resolved, Description: d}
	}
	load := func(request task.Request) task.Loaded {
		loaded, err := new(task.Loader).Load(t.Context(), request)
		must(t, err)
		return loaded
	}
	characters := task.Request{Task: "characters", Data: "grammar", Options: plugins.Values{"bytes": "1500", "batch": "7", "length": "23"}}
	reading := task.Request{Task: "cnn-qa", Data: "cnn-qa-standin", Options: plugins.Values{"questions": "64", "batch": "64", "length": "23"}}
	tasks := map[string]task.Loaded{characters.Task: load(characters), reading.Task: load(reading)}
	runs, err := store.Open(t.Context(), t.TempDir())
	must(t, err)
	defer func() { must(t, runs.Close()) }()
	runner := experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
	}

	type network struct {
		model   string
		options plugins.Values
	}
	var networks []network
	for _, n := range recurrent.Normalizations {
		networks = append(networks, network{"gru", plugins.Values{"normalization": n.String()}})
	}
	networks = append(networks,
		network{"gru", plugins.Values{"reset": "before", "normalization": "layer"}},
		network{"gru", plugins.Values{"reset": "before"}},
		network{"lstm", plugins.Values{"normalization": "layer"}},
		network{"lstm", plugins.Values{"normalization": "weight"}},
		network{"lstm", plugins.Values{"normalize-cell": "false"}},
		network{"attentive-reader", plugins.Values{"embedding": "9", "normalization": "layer"}})
	for _, n := range networks {
		n.options["units"] = "17"
		request := characters
		if n.model == "attentive-reader" {
			request = reading
		}
		loaded := tasks[request.Task]
		spec := &experiment.Spec{
			Task: suite.Task{
				Label: request.Data, Task: request.Task, Data: request.Data, Options: loaded.Options,
				Training: suite.Training{
					Optimiser: model.Adam, LearningRate: 0.02, FinalLearningRate: 0.01, Decay: suite.Exponential,
					Epochs: 1, Steps: 5, ValidateEvery: 5, ValidationCalibration: 1, CheckpointSteps: 100,
				},
			},
			Loaded:    loaded,
			Model:     plugin(plugins.KindModel, n.model, n.options),
			Quantizer: plugin(plugins.KindQuantizer, "stochastic-ternary", nil),
			Seed:      3, Threads: 1, Freeze: suite.Freeze{Draws: 1, CalibrationBatches: 2},
			Backends: []experiment.Plugin{
				plugin(plugins.KindBackend, "cpu", plugins.Values{"activations": "exact"}),
				plugin(plugins.KindBackend, "asic-lowpower", nil),
			},
		}
		failed, err := runner.Run(t.Context(), spec, func(experiment.Progress) {})
		if err != nil || len(failed) > 0 {
			t.Fatalf("%s %v: %v, %v", n.model, n.options, failed, err)
		}
		row, err := spec.Row()
		must(t, err)
		deployments, err := runs.Deployments(t.Context(), row.ID)
		must(t, err)
		for _, d := range deployments {
			if d.Status != store.Done || d.Doubt != "" || d.Metric == nil || math.IsNaN(*d.Metric) {
				t.Errorf("%s %v on %s: %+v, want a score that is not in doubt", n.model, n.options, d.Backend, d)
			}
		}
		if len(deployments) != 2 {
			t.Errorf("%s %v: %d deployments, want 2", n.model, n.options, len(deployments))
		}
	}
}
