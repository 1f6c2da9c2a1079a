// Package onnxtest lets tests run ONNX models in ONNX Runtime, by the script of
// baselines/peers.
package onnxtest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"bittern/plugins/network"
)

// Tensor is an input or an output, its elements little-endian.
type Tensor struct {
	Type string `json:"type"` // float32, int32 or int64
	Dims []int  `json:"dims"`
	Data string `json:"data"` // in base64
}

// Of makes a tensor.
func Of[T float32 | int32 | int64](values []T, dims ...int) Tensor {
	raw, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	var one T
	return Tensor{Type: fmt.Sprintf("%T", one), Dims: dims, Data: base64.StdEncoding.EncodeToString(raw)}
}

// Float32 returns the elements of a tensor of that type.
func (t Tensor) Float32() ([]float32, error) {
	raw, err := base64.StdEncoding.DecodeString(t.Data)
	if err != nil {
		return nil, err
	}
	if t.Type != "float32" {
		return nil, fmt.Errorf("a tensor of %s, want float32", t.Type)
	}
	values := make([]float32, len(raw)/4)
	return values, binary.Read(bytes.NewReader(raw), binary.LittleEndian, values)
}

// Feeds are the inputs of a network's model for a batch, by name. Where state is carried
// states and positions are among them, which only count where a sequence goes on.
func Feeds(n network.Network, b network.Batch) map[string]Tensor {
	feeds := map[string]Tensor{}
	for _, t := range n.Shape(b.Sequences, b.Steps, b.Fresh != nil).Tensors() {
		switch {
		case t.Name == network.TensorTargets:
		case t.Name == network.TensorFresh:
			feeds[t.Name] = Of(b.Fresh, t.Dims...)
		case t.Float32:
			feeds[t.Name] = Of(b.Float32[t.Name], t.Dims...)
		default:
			feeds[t.Name] = Of(b.Int32[t.Name], t.Dims...)
		}
	}
	if b.Fresh == nil {
		return feeds
	}
	const noticed = 7 // if a sequence that starts fresh were to look at it
	for _, stage := range n.Stages {
		for _, s := range stage.Graph.States {
			feeds["state/"+stage.Name+"/"+s.Name] = Of(slices.Repeat([]float32{noticed}, b.Sequences*s.Size), b.Sequences, s.Size)
		}
	}
	for _, stream := range n.Streams() {
		feeds["position/"+stream] = Of(slices.Repeat([]int64{noticed}, b.Sequences), b.Sequences)
	}
	return feeds
}

// Runtime runs models.
type Runtime struct{ script string }

// Find returns the runtime that is installed in the folder baselines/peers of the project
// whose root is given, or skips the test with the reason.
func Find(t *testing.T, root string) Runtime {
	t.Helper()
	folder := filepath.Join(root, "baselines", "peers")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "onnxruntime-node")); err != nil {
		t.Skipf("skipped: ONNX Runtime is not installed (npm install --ignore-scripts in %s)", folder)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: there is no node on PATH")
	}
	return Runtime{filepath.Join(folder, "logits.mjs")}
}

// Job is a model, with its inputs by name for one or more runs. The output "next/NAME" of a run
// is the input NAME of the next run.
type Job struct {
	Model string              `json:"model"` // path of the file
	Runs  []map[string]Tensor `json:"runs"`
}

// Run runs the jobs and returns the outputs of each run of each by name.
func (r Runtime) Run(t *testing.T, jobs ...Job) [][]map[string]Tensor {
	t.Helper()
	request, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", r.script)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(request), &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("ONNX Runtime: %v\n%s", err, stderr.String())
	}
	var answer struct {
		Outputs [][]map[string]Tensor `json:"outputs"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		t.Fatalf("ONNX Runtime: %v\n%s", err, stdout.String())
	}
	if len(answer.Outputs) != len(jobs) {
		t.Fatalf("ONNX Runtime gave the outputs of %d models, want %d", len(answer.Outputs), len(jobs))
	}
	return answer.Outputs
}

// Difference is the largest one between logits of a model and the reference's, laid out
// like the batch. Those of classes that are no candidates must be −Inf.
func Difference(logits Tensor, want []float64, b network.Batch, n network.Network) (float64, error) {
	got, err := logits.Float32()
	if err != nil {
		return 0, err
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d logits, want %d", len(got), len(want))
	}
	worst, classes := 0.0, n.Classes()
	for i, v := range got {
		if marks := b.Candidates(n.Inputs, i/classes%b.Sequences); marks != nil && marks[i%classes] == 0 {
			if !math.IsInf(float64(v), -1) {
				return 0, fmt.Errorf("the logit of class %d of sequence %d, which is no candidate, is %v, want -Inf", i%classes, i/classes%b.Sequences, v)
			}
			continue
		}
		// The largest of all, and NaN where one is.
		worst = max(worst, math.Abs(float64(v)-want[i]))
	}
	return worst, nil
}
