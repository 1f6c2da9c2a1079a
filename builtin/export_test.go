package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/builtin"
	"bittern/harness/artifact"
	"bittern/harness/experiment"
	"bittern/harness/export"
	"bittern/harness/export/onnx"
	"bittern/harness/export/onnxtest"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/network"
)

// The tasks of exported networks.
const (
	characters = "{data: grammar, bytes: 1500, batch: 5, length: 13}"
	carried    = "{task: words, text: TEXT, vocabulary: 30, batch: 3, length: 7}"
	pixels     = "{task: smnist, train_images: IMAGES, train_labels: CLASSES, test_images: IMAGES, test_labels: CLASSES, valid: 4, batch: 5}"
	questions  = "{task: cnn-qa, data: cnn-qa-standin, questions: 60, length: 60, batch: 6}"
)

// exported are networks that are trained a few steps and exported, with what the
// recurrences become in ONNX and the opset that packed weights need.
var exported = []struct {
	name                   string
	task, model, quantizer string
	recurrences            string
	opset                  int
}{
	{"lstm", characters, "{plugin: lstm, options: [units=11, normalization=none]}", "{plugin: none}", "1 LSTM", 17},
	{"binary", characters, "{plugin: lstm, options: [units=11, normalization=none]}", "{plugin: stochastic-binary}", "1 LSTM", 25},
	{"batch", characters, "{plugin: lstm, options: [units=11, normalization=batch]}", "{plugin: stochastic-ternary}", "1 Scan", 25},
	{"batch-shared", characters, "{plugin: lstm, options: [units=11, normalization=batch-shared, normalize-cell=false]}", "{plugin: twn, options: [scale=row]}", "1 Scan", 25},
	{"layer", characters, "{plugin: lstm, options: [units=11, normalization=layer]}", "{plugin: stochastic-ternary}", "1 Scan", 25},
	{"weight", characters, "{plugin: lstm, options: [units=11, normalization=weight]}", "{plugin: bwn}", "1 LSTM", 25},
	{"gru", characters, "{plugin: gru, options: [units=11, normalization=none]}", "{plugin: stochastic-ternary}", "1 GRU", 25},
	{"gru reset before", characters, "{plugin: gru, options: [units=11, normalization=weight, reset=before]}", "{plugin: absmean}", "1 GRU", 25},
	{"gru batch", characters, "{plugin: gru, options: [units=11, normalization=batch]}", "{plugin: stochastic-ternary}", "1 Scan", 25},
	{"two layers, 4 bits", characters, "{plugin: lstm, options: [units=11, layers=2, embedding=6, normalization=none]}", "{plugin: lsq, options: [bits=4]}", "2 LSTM", 21},
	{"two planes", characters, "{plugin: lstm, options: [units=11, normalization=none]}", "{plugin: alternating}", "1 LSTM", 25},
	{"codebook", characters, "{plugin: lstm, options: [units=11, normalization=layer]}", "{plugin: ttq}", "1 Scan", 25},
	{"12 bits", characters, "{plugin: lstm, options: [units=11, normalization=none]}", "{plugin: fixed-point}", "1 LSTM", 21},
	{"rounded states", characters, "{plugin: lstm, options: [units=11, normalization=none, hidden-bits=3]}", "{plugin: none}", "1 Scan", 17},
	{"carried", carried, "{plugin: lstm, options: [units=11, layers=2, normalization=none]}", "{plugin: stochastic-ternary}", "2 LSTM", 25},
	{"carried, batch", carried, "{plugin: gru, options: [units=11, normalization=batch]}", "{plugin: none}", "1 GRU", 17},
	{"bidirectional", pixels, "{plugin: lstm, options: [units=11, layers=2, bidirectional=true, normalization=none]}", "{plugin: stochastic-ternary}", "4 LSTM", 25},
	{"attentive reader", questions, "{plugin: attentive-reader, options: [units=7, embedding=5, normalization=batch]}", "{plugin: stochastic-ternary}", "4 Scan", 25},
	{"attentive reader of GRUs", questions, "{plugin: attentive-reader, options: [cell=gru, units=7, embedding=5, normalization=none]}", "{plugin: stochastic-binary}", "4 GRU", 25},
}

// mostDifference is how far ONNX Runtime's logits may be from the float64 reference's.
const mostDifference = 1e-4

// TestExportedNetworksComputeTheSame trains networks for a few steps, exports what is
// deployed as ONNX, and where ONNX Runtime is installed runs it on the first windows of the
// test part: its logits must be those of the reference.
func TestExportedNetworksComputeTheSame(t *testing.T) {
	t.Parallel()
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
	}
	catalogue, err := host.NewCatalogue(ids, "")
	must(t, err)
	folder := t.TempDir()
	text := filepath.Join(folder, "words.txt")
	must(t, os.WriteFile(text, []byte(strings.Repeat("the bittern booms in the reeds and the tern dives for fish in the cold sea\n", 30)), 0o600))
	writeImages(t, folder, "few", 14)
	own := strings.NewReplacer("TEXT", text, "IMAGES", filepath.Join(folder, "few-images"), "CLASSES", filepath.Join(folder, "few-labels"))
	runs, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "runs"))
	must(t, err)
	t.Cleanup(func() { must(t, runs.Close()) })
	runner := &experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
	}
	var jobs []onnxtest.Job
	var checks []func(outputs []map[string]onnxtest.Tensor)
	for _, e := range exported {
		parsed, err := suite.Parse("exported", fmt.Appendf(nil, `
name: exported
seeds: [1]
threads: 1
tasks: [%s]
models: [%s]
quantizers: [%s]
training: {learning_rate: 0.02, epochs: 1, steps: 4, validate_every: 4}
freeze: {draws: 1, calibration_batches: 2}
`, own.Replace(e.task), e.model, e.quantizer))
		must(t, err)
		specs, err := schedule.Prepare(t.Context(), parsed, catalogue, "")
		must(t, err)
		deployed, row := trained(t, runner, specs[0])
		batches := windows(t, specs[0].Loaded.Task)
		for _, weights := range []onnx.Weights{onnx.Packed, onnx.Float32} {
			path := filepath.Join(t.TempDir(), "network.onnx")
			file, err := os.Create(path)
			must(t, err)
			shape := specs[0].Loaded.Task.Shape()
			summary, err := export.Write(file, deployed, row, "test", export.Options{Format: export.ONNX, Weights: weights, Carried: shape.Carried})
			must(t, err)
			must(t, file.Close())
			opset := e.opset
			if weights == onnx.Float32 {
				opset = 17
			}
			if want := fmt.Sprintf("ONNX, opset %d, %s", opset, e.recurrences); summary != want {
				t.Errorf("%s with %s weights was written as %q, want %q", e.name, weights, summary, want)
			}
			job := onnxtest.Job{Model: path}
			for _, b := range batches {
				job.Runs = append(job.Runs, onnxtest.Feeds(deployed.Program, b))
			}
			jobs = append(jobs, job)
			checks = append(checks, func(outputs []map[string]onnxtest.Tensor) {
				reference, err := network.NewReference(deployed.Program, deployed.Weights)
				must(t, err)
				for i, b := range batches {
					want, err := reference.Run(b)
					must(t, err)
					worst, err := onnxtest.Difference(outputs[i]["logits"], want, b, deployed.Program)
					if err != nil || !(worst <= mostDifference) {
						t.Errorf("%s with %s weights, window %d: logits are up to %.3g off the reference, want %g at most; %v", e.name, weights, i, worst, mostDifference, err)
					}
				}
			})
		}
	}
	runtime := onnxtest.Find(t, "..")
	for i, outputs := range runtime.Run(t, jobs...) {
		checks[i](outputs)
	}
}

// trained trains one experiment and returns what is deployed.
func trained(t *testing.T, runner *experiment.Runner, spec *experiment.Spec) (artifact.Network, store.Experiment) {
	t.Helper()
	failed, err := runner.Run(t.Context(), spec, func(experiment.Progress) {})
	if err != nil || len(failed) > 0 {
		t.Fatalf("%s: %v, %v", spec, failed, err)
	}
	row, err := spec.Row()
	must(t, err)
	row, err = runner.Storage.Journal.Experiment(t.Context(), row.ID)
	must(t, err)
	n, err := runner.Storage.Artifacts.Read(t.Context(), row.ID, row.Artifact)
	must(t, err)
	return n, row
}

// windows are the first batches of the test part.
func windows(t *testing.T, of task.Task) []network.Batch {
	t.Helper()
	part := of.Evaluation(task.Test)
	var batches []network.Batch
	for i := range min(2, part.Len()) {
		b := of.Shape().Allocate()
		must(t, part.Fill(i, b))
		batches = append(batches, b)
	}
	return batches
}
