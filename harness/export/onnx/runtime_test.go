package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"bittern/harness/export/onnx"
	"bittern/harness/export/onnxtest"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
)

var project = filepath.Join("..", "..", "..")

// tolerance is how far logits may be from the reference's.
const tolerance = 1e-4

// TestRuntimeComputesTheSame runs every sample program in ONNX Runtime, with each kind of
// weights, and compares it with the float64 reference; carried ones over several batches.
func TestRuntimeComputesTheSame(t *testing.T) {
	t.Parallel()
	runtime := onnxtest.Find(t, project)
	const sequences, batches = 5, 3
	var names []string
	var programs []sample.Program
	var jobs []onnxtest.Job
	for _, p := range sample.Programs() {
		for _, weights := range []onnx.Weights{onnx.Packed, onnx.Int8, onnx.Float32} {
			model, err := onnx.Compile(p.Network, p.Weights, onnx.Options{Weights: weights, Carried: p.Carried})
			if err != nil {
				t.Fatal(err)
			}
			job := onnxtest.Job{Model: write(t, model)}
			for number := range batches {
				job.Runs = append(job.Runs, onnxtest.Feeds(p.Network, p.Batch(sequences, number)))
			}
			names, programs, jobs = append(names, p.Name+", "+string(weights)), append(programs, p), append(jobs, job)
		}
	}
	for i, runs := range runtime.Run(t, jobs...) {
		p := programs[i]
		reference, err := network.NewReference(p.Network, p.Weights)
		if err != nil {
			t.Fatal(err)
		}
		for number, outputs := range runs {
			b := p.Batch(sequences, number)
			want, err := reference.Run(b)
			if err != nil {
				t.Fatal(err)
			}
			worst, err := onnxtest.Difference(outputs["logits"], want, b, p.Network)
			if err != nil || !(worst <= tolerance) {
				t.Errorf("%s, batch %d: logits are up to %.3g off the reference, want %g at most; %v", names[i], number, worst, tolerance, err)
			}
		}
	}
}

func write(t *testing.T, m *onnx.Model) string {
	t.Helper()
	var content bytes.Buffer
	if err := m.Write(&content); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
