package builtin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/builtin"
	"bittern/harness/experiment"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
)

// writeImages writes IDX files of n images of 8 x 8 pixels and their classes 0, 1 and 2:
// noise with one bright row, whose place is the class.
func writeImages(t *testing.T, folder, name string, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(n), 8))
	images, labels := []byte{0, 0, 8, 3}, []byte{0, 0, 8, 1}
	for _, size := range []uint32{uint32(n), 8, 8} {
		images = binary.BigEndian.AppendUint32(images, size)
	}
	labels = binary.BigEndian.AppendUint32(labels, uint32(n))
	for i := range n {
		class := i % 3
		for row := range 8 {
			for range 8 {
				pixel := byte(random.IntN(64))
				if row == 2+2*class {
					pixel += 180
				}
				images = append(images, pixel)
			}
		}
		labels = append(labels, byte(class))
	}
	for suffix, content := range map[string][]byte{"images": images, "labels": labels} {
		if err := os.WriteFile(filepath.Join(folder, name+"-"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A user's own images go from the suite's file to a deployed network without any Go: the
// accuracy of the machine is the one of the model, frozen.
func TestOwnImagesAreTrainedAndDeployed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeImages(t, folder, "train", 60)
	writeImages(t, folder, "test", 21)
	at := func(name string) string { return filepath.Join(folder, name) }
	content := fmt.Sprintf(`
name: images
seeds: [1]
threads: 1
tasks:
  - {task: smnist, train_images: %q, train_labels: %q, test_images: %q, test_labels: %q, valid: 12, batch: 8}
models:
  - {plugin: lstm, options: [units=8, normalization=batch]}
quantizers:
  - {plugin: none}
  - {plugin: stochastic-ternary}
backends:
  - {plugin: cpu, options: [activations=exact]}
training: {learning_rate: 0.02, epochs: 4, validation_calibration_batches: 2}
freeze: {draws: 2, calibration_batches: 4}
`, at("train-images"), at("train-labels"), at("test-images"), at("test-labels"))
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
	}
	catalogue, err := host.NewCatalogue(ids, "")
	if err != nil {
		t.Fatal(err)
	}
	prepare := func(content string) []*experiment.Spec {
		s, err := suite.Parse("images", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		specs, err := schedule.Prepare(t.Context(), s, catalogue, "")
		if err != nil {
			t.Fatal(err)
		}
		return specs
	}
	runs, err := store.Open(t.Context(), filepath.Join(folder, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	}()
	runner := &experiment.Runner{Catalogue: catalogue, Storage: storage.InFolder(runs), Deadline: time.Minute, Log: func(line string) { t.Log(line) }}
	for _, spec := range prepare(content) {
		failed, err := runner.Run(t.Context(), spec, func(experiment.Progress) {})
		if err != nil || len(failed) > 0 {
			t.Fatalf("%s: %v, %v", spec, failed, err)
		}
		row, err := spec.Row()
		if err != nil {
			t.Fatal(err)
		}
		if row, err = runs.Experiment(t.Context(), row.ID); err != nil {
			t.Fatal(err)
		}
		deployed, err := runs.Deployments(t.Context(), row.ID)
		if err != nil || len(deployed) != 1 || deployed[0].Metric == nil || row.FrozenModel == nil {
			t.Fatalf("%s: deployments %+v, %v, frozen %v; want one with a figure", spec, deployed, err, row.FrozenModel)
		}
		d := deployed[0]
		if row.Metric != "accuracy %" || row.Steps != 24 || *d.Metric != *row.FrozenModel || d.Doubt != "" {
			t.Errorf("%s: %s of the machine %v, of the model %v after %d steps, doubt %q; want accuracy %%, the same, 24 and none",
				spec, row.Metric, *d.Metric, *row.FrozenModel, row.Steps, d.Doubt)
		}
		// Guesses are right in 33 % of cases, in 62 % with a chance below 1 in 200.
		if spec.Quantizer.Name == "none" && *d.Metric < 62 {
			t.Errorf("%s: an accuracy of %v %% after 24 steps, want more than a guess", spec, *d.Metric)
		}
	}

	// A model that cannot serve the task says which it serves, before anything is trained.
	checker := experiment.Checker{Catalogue: catalogue, Deadline: time.Minute, Runs: at("runs")}
	embedded := strings.Replace(content, "[units=8,", "[units=8, embedding=4,", 1)
	err = checker.Check(t.Context(), prepare(embedded)[0])
	if p, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(p.Sentence, "embedding is for tokens") {
		t.Errorf("an embedding of pixels: %v, want a Problem that says what it is for", err)
	}
}
