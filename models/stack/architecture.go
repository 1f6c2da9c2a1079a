package stack

import (
	"fmt"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
)

// Architecture is the shape of a stack, and its task.
type Architecture struct {
	Name          string // of the model, for errors and the exported graph
	Task          model.Task
	Kind          recurrent.Kind
	Units         int // of every layer
	Layers        int
	Normalization recurrent.Normalization
	NormalizeCell bool    // see [recurrent.Config]
	ResetBefore   bool    // see [recurrent.Config]
	Embedding     int     // features of a token; 0 = one-hot
	Dropout       float64 // probability
}

// architecture is that of a task with given options.
func (m Model) architecture(given plugins.Values, task model.Task) (Architecture, error) {
	v, err := plugins.Resolve("model "+m.Name, m.options(), given)
	if err != nil {
		return Architecture{}, err
	}
	a := Architecture{
		Name: m.Name, Task: task, Kind: m.Kind, Units: v.Int("units"), Layers: v.Int("layers"),
		Embedding: v.Int("embedding"), Dropout: v.Float("dropout"),
	}
	if a.Normalization, err = recurrent.ParseNormalization(v.Text("normalization")); err != nil {
		return Architecture{}, err
	}
	if m.Kind == recurrent.LSTM {
		a.NormalizeCell = v.Bool("normalize-cell") && a.Normalization.Batch()
	} else {
		a.ResetBefore = v.Text("reset") == "before"
	}
	return a, a.Check()
}

// Check returns a problem that says how to mend an architecture no stack has.
func (a Architecture) Check() error {
	t := a.Task
	for _, size := range []struct {
		name  string
		value int
	}{{"input size", t.InputSize}, {"output size", t.OutputSize}, {"batch", t.Batch}, {"length", t.Length}} {
		if size.value < 1 {
			return plugins.Problemf("model %s: the task's %s is %d; give it at least 1", a.Name, size.name, size.value)
		}
	}
	switch t.Kind {
	case model.LanguageModel:
	case model.SequenceClassification:
		if a.Embedding > 0 {
			return plugins.Problemf("model %s: option embedding is for tokens, and %s gives features; set it to 0", a.Name, t.Kind)
		}
	default:
		return plugins.Problemf("model %s does not serve tasks of kind %q; it serves %s and %s",
			a.Name, t.Kind, model.LanguageModel, model.SequenceClassification)
	}
	if a.Normalization.Batch() && t.Batch < 2 {
		return plugins.Problemf("model %s: normalization %s takes its statistics over the batch; raise the batch to at least 2 or choose another normalization", a.Name, a.Normalization)
	}
	for i := range a.Layers {
		if err := a.Layer(i).Check(); err != nil {
			return plugins.Problemf("model %s: %v", a.Name, err)
		}
	}
	return nil
}

// The names of parameters and buffers. Those of layer i are "layerI." and the
// names that [recurrent.Config] lists.
const (
	embeddingName = "embedding.W" // [Embedding × InputSize]
	softmaxName   = "softmax.W"   // [OutputSize × Units]
	biasName      = "softmax.b"   // [OutputSize]

	sequencesName = "statistics.sequences" // how many the running statistics were gathered from, [1]
)

func layerName(layer int, part string) string { return fmt.Sprintf("layer%d.%s", layer, part) }

// Layer is the shape of recurrent layer i.
func (a Architecture) Layer(i int) recurrent.Config {
	c := recurrent.Config{
		Kind: a.Kind, Steps: a.Task.Length, Batch: a.Task.Batch, Inputs: a.Units, Units: a.Units,
		Normalization: a.Normalization, NormalizeCell: a.NormalizeCell, ResetBefore: a.ResetBefore,
	}
	if i == 0 {
		c.Inputs = a.Task.InputSize
		if a.tokens() {
			c.Tokens = a.Embedding == 0
		}
		if a.Embedding > 0 {
			c.Inputs = a.Embedding
		}
	}
	return c
}

func (a Architecture) tokens() bool { return a.Task.Kind == model.LanguageModel }

// output is the shape of the softmax layer: over every step, or over the last.
func (a Architecture) output() recurrent.SoftmaxConfig {
	steps := a.Task.Length
	if a.Task.Kind == model.SequenceClassification {
		steps = 1
	}
	return recurrent.SoftmaxConfig{Steps: steps, Batch: a.Task.Batch, Units: a.Units, Classes: a.Task.OutputSize}
}

// Plan lists the parameters and buffers of the stack: the embedding's, each
// layer's, the softmax's, and for a normalization of batches how many sequences its
// running statistics were gathered from.
func (a Architecture) Plan() model.Plan {
	var p model.Plan
	add := func(name string, quantize bool, shape ...int) {
		p.Parameters = append(p.Parameters, model.Parameter{Name: name, Shape: shape, Quantize: quantize})
	}
	if a.Embedding > 0 {
		add(embeddingName, false, a.Embedding, a.Task.InputSize)
	}
	for i := range a.Layers {
		c := a.Layer(i)
		for _, tensor := range c.Parameters() {
			add(layerName(i, tensor.Name), tensor.Quantize, tensor.Shape...)
		}
		for _, tensor := range c.Buffers() {
			p.Buffers = append(p.Buffers, model.Buffer{Name: layerName(i, tensor.Name), Shape: tensor.Shape})
		}
	}
	add(softmaxName, false, a.Task.OutputSize, a.Units)
	add(biasName, false, a.Task.OutputSize)
	if a.Normalization.Batch() {
		p.Buffers = append(p.Buffers, model.Buffer{Name: sequencesName, Shape: []int{1}})
	}
	return p
}
