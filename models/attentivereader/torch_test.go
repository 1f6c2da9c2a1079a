package attentivereader

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/model"
)

// TestAgainstPyTorch holds the losses and every gradient against those of PyTorch; see baselines/torch/reader.py.
func TestAgainstPyTorch(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Document, Question, Batch, Vocabulary, Classes, Units, Embedding int
		DocumentLengths                                                  []int32 `json:"document lengths"`
		QuestionLengths                                                  []int32 `json:"question lengths"`
		Targets                                                          []int32
		Cases                                                            []struct {
			Kind                           string
			Candidates, Document, Question []int32
			Loss                           float64
			Losses                         []float64
			Parameters, Gradients          map[string][]float64
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 3 {
		t.Fatalf("PyTorch's file has %d cases, want 3", len(file.Cases))
	}
	for _, c := range file.Cases {
		options := plugins.Values{"cell": strings.ToLower(c.Kind), "normalization": "none",
			"units": strconv.Itoa(file.Units), "embedding": strconv.Itoa(file.Embedding)}
		r := build(t, options, sizes{file.Document, file.Question, file.Batch, file.Vocabulary, file.Classes, c.Candidates != nil}, 2)
		if got, want := len(r.request.Parameters), len(c.Parameters); got != want {
			t.Fatalf("%s: %d parameters, PyTorch's file has %d", c.Kind, got, want)
		}
		for name, p := range r.request.Parameters {
			if len(p.Value) != len(c.Parameters[name]) {
				t.Fatalf("%s: %s has %d elements, PyTorch's %d", c.Kind, name, len(p.Value), len(c.Parameters[name]))
			}
			for i, v := range c.Parameters[name] {
				p.Value[i] = float32(v)
			}
		}
		r.quantize()
		b := r.request.Batch
		copy(b.Int32["text"], c.Document)
		copy(b.Int32["asked"], c.Question)
		copy(b.Int32["text length"], file.DocumentLengths)
		copy(b.Int32["asked length"], file.QuestionLengths)
		copy(b.Int32["logits"], c.Candidates)
		copy(b.Targets, file.Targets)
		if loss := r.step(0); math.Abs(loss-c.Loss) > 1e-5 {
			t.Errorf("%s: loss %v, PyTorch's is %v", c.Kind, loss, c.Loss)
		}
		for name, p := range r.request.Parameters {
			near(t, c.Kind+": gradient of "+name, p.Grad, c.Gradients[name], 1e-4)
		}
		for i, want := range c.Losses {
			for j := range b.Targets {
				b.Targets[j] = -1
			}
			b.Targets[i] = file.Targets[i]
			score := r.evaluate(model.Evaluate{Statistics: model.Frozen})
			if math.Abs(score.LossSum-want) > 1e-5 || (score.Count == 1) != (file.Targets[i] >= 0) {
				t.Errorf("%s: sequence %d scores %+v, PyTorch's loss is %v", c.Kind, i, score, want)
			}
		}
	}
}
