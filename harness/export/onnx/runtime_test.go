package onnx_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	compare(t, sample.Programs(), onnx.Packed, onnx.Int8, onnx.Float32)
}

func TestRuntimeComputesOddPrograms(t *testing.T) {
	t.Parallel()
	compare(t, odd(t), onnx.Float32)
}

func compare(t *testing.T, programs []sample.Program, kinds ...onnx.Weights) {
	t.Helper()
	runtime := onnxtest.Find(t, project)
	const sequences, batches = 5, 3
	var names []string
	var of []sample.Program
	var jobs []onnxtest.Job
	for _, p := range programs {
		for _, weights := range kinds {
			model, err := onnx.Compile(p.Network, p.Weights, onnx.Options{Weights: weights, Carried: p.Carried})
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			job := onnxtest.Job{Model: write(t, model)}
			for number := range batches {
				job.Runs = append(job.Runs, onnxtest.Feeds(p.Network, p.Batch(sequences, number)))
			}
			names, of, jobs = append(names, p.Name+", "+string(weights)), append(of, p), append(jobs, job)
		}
	}
	for i, runs := range runtime.Run(t, jobs...) {
		p := of[i]
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

// onnxCheck checks the models of its arguments with ONNX's own checker, shapes and types
// included, those of an operator set that it knows, and prints how many those were.
const onnxCheck = `
import onnx, sys
checked = 0
for path in sys.argv[1:]:
    model = onnx.load(path)
    if model.opset_import[0].version <= onnx.defs.onnx_opset_version():
        onnx.checker.check_model(model, full_check=True)
        checked += 1
print(checked)
`

// TestCheckerOfONNX asks it about every sample program, where Python has the package onnx.
func TestCheckerOfONNX(t *testing.T) {
	t.Parallel()
	// Debian's packages belong to /usr/bin/python3, which need not be first on PATH.
	python := ""
	for _, candidate := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), candidate, "-c", "import onnx").Run() == nil {
			python = candidate
		}
	}
	if python == "" {
		t.Skip("skipped: no python3 imports onnx (Debian: apt-get install python3-onnx)")
	}
	arguments := []string{"-c", onnxCheck}
	for _, p := range sample.Programs() {
		for _, weights := range []onnx.Weights{onnx.Packed, onnx.Int8, onnx.Float32} {
			model, err := onnx.Compile(p.Network, p.Weights, onnx.Options{
				Weights: weights, Carried: p.Carried, Version: "test", Doc: p.Name, Metadata: []onnx.Property{{Name: "program", Value: p.Name}},
			})
			if err != nil {
				t.Fatal(err)
			}
			arguments = append(arguments, write(t, model))
		}
	}
	output, err := exec.CommandContext(t.Context(), python, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// Any version knows the oldest operator set, which float32 asks for.
	if checked, err := strconv.Atoi(strings.TrimSpace(string(output))); err != nil || checked < len(sample.Programs()) {
		t.Errorf("%q models were checked, want at least %d", output, len(sample.Programs()))
	}
}
