package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bittern/harness/export/onnx"
	"bittern/harness/internal/onnxruntime"
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
	runtime := onnxruntime.Find(t, project)
	const sequences, batches = 5, 3
	var names []string
	var programs []sample.Program
	var jobs []onnxruntime.Job
	for _, p := range sample.Programs() {
		for _, weights := range []onnx.Weights{onnx.Packed, onnx.Int8, onnx.Float32} {
			model, err := onnx.Compile(p.Network, p.Weights, onnx.Options{Weights: weights, Carried: p.Carried})
			if err != nil {
				t.Fatal(err)
			}
			job := onnxruntime.Job{Model: write(t, model)}
			for number := range batches {
				feeds := onnxruntime.Feeds(p.Batch(sequences, number), p.Shape(sequences))
				if p.Carried {
					addStates(p.Network, feeds, sequences)
				}
				job.Runs = append(job.Runs, feeds)
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
			worst, err := onnxruntime.Difference(outputs["logits"], want, b, p.Network)
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

// addStates adds states and positions to feeds, for the first run, in which every sequence
// starts fresh: such that it would be noticed if they were looked at.
func addStates(n network.Network, feeds map[string]onnxruntime.Tensor, sequences int) {
	for _, stage := range n.Stages {
		for _, s := range stage.Graph.States {
			feeds["state/"+stage.Name+"/"+s.Name] = onnxruntime.Of(slices.Repeat([]float32{7}, sequences*s.Size), sequences, s.Size)
		}
	}
	for _, stream := range n.Streams() {
		feeds["position/"+stream] = onnxruntime.Of(slices.Repeat([]int64{99}, sequences), sequences)
	}
}
