package stack

import (
	"fmt"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
)

// architecture is a network's options and task, checked against each other.
type architecture struct {
	Model
	task      model.Task
	units     int
	depth     int // recurrent layers
	batchNorm bool
	shared    bool // one set of running statistics for all time steps
	embedding int  // features of a token; 0 = one-hot
	dropout   float64
}

func newArchitecture(m Model, given plugins.Values, task model.Task) (architecture, error) {
	v, err := plugins.Resolve("model "+m.Name, options, given)
	if err != nil {
		return architecture{}, err
	}
	normalization := v.Text("normalization")
	a := architecture{
		Model: m, task: task, units: v.Int("units"), depth: v.Int("layers"),
		batchNorm: normalization != noNormalization, shared: normalization == sharedNormalization,
		embedding: v.Int("embedding"), dropout: v.Float("dropout"),
	}
	return a, a.check()
}

func (a architecture) check() error {
	t := a.task
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
		if a.embedding > 0 {
			return plugins.Problemf("model %s: option embedding is for tokens, and %s gives features; set it to 0", a.Name, t.Kind)
		}
	default:
		return plugins.Problemf("model %s does not serve tasks of kind %q; it serves %s and %s",
			a.Name, t.Kind, model.LanguageModel, model.SequenceClassification)
	}
	if a.batchNorm && t.Batch < 2 {
		return plugins.Problemf("model %s: batch normalization needs at least 2 sequences per batch; raise the batch or set normalization to none", a.Name)
	}
	return nil
}

// The names of parameters and buffers. Those of a layer follow "layer0." and
// so on, and are the ones recurrent.Config lists.
const (
	embeddingName = "embedding.W"
	softmaxName   = "softmax.W"
	biasName      = "softmax.b"

	sequencesName = "statistics.sequences" // how many the running statistics were gathered from
)

func layerName(layer int, part string) string { return fmt.Sprintf("layer%d.%s", layer, part) }

// layer is the shape of recurrent layer i.
func (a architecture) layer(i int) recurrent.Config {
	c := recurrent.Config{
		Kind: a.Kind, Steps: a.task.Length, Batch: a.task.Batch, Inputs: a.units, Units: a.units,
		NormalizeCell: a.batchNorm,
	}
	switch {
	case a.shared:
		c.Normalization = recurrent.SharedBatchNorm
	case a.batchNorm:
		c.Normalization = recurrent.BatchNorm
	}
	if i == 0 {
		c.Inputs = a.task.InputSize
		if a.tokens() {
			c.Tokens = a.embedding == 0
		}
		if a.embedding > 0 {
			c.Inputs = a.embedding
		}
	}
	return c
}

// runningSteps is the number of rows of the running statistics.
func (a architecture) runningSteps() int {
	if a.shared {
		return 1
	}
	return a.task.Length
}

func (a architecture) tokens() bool { return a.task.Kind == model.LanguageModel }

// output is the shape of the softmax layer: over every step, or over the last.
func (a architecture) output() recurrent.SoftmaxConfig {
	steps := a.task.Length
	if a.task.Kind == model.SequenceClassification {
		steps = 1
	}
	return recurrent.SoftmaxConfig{Steps: steps, Batch: a.task.Batch, Units: a.units, Classes: a.task.OutputSize}
}

func (a architecture) plan() model.Plan {
	var p model.Plan
	add := func(name string, quantize bool, shape ...int) {
		p.Parameters = append(p.Parameters, model.Parameter{Name: name, Shape: shape, Quantize: quantize})
	}
	buffer := func(name string, shape ...int) {
		p.Buffers = append(p.Buffers, model.Buffer{Name: name, Shape: shape})
	}
	d, length := a.units, a.runningSteps()
	if a.embedding > 0 {
		add(embeddingName, false, a.embedding, a.task.InputSize)
	}
	for i := range a.depth {
		add(layerName(i, "Wx"), true, 4*d, a.layer(i).Inputs)
		add(layerName(i, "Wh"), true, 4*d, d)
		add(layerName(i, "beta"), false, 4*d)
		add(layerName(i, "h0"), false, d)
		add(layerName(i, "c0"), false, d)
		if a.batchNorm {
			add(layerName(i, "gamma_h"), false, 4*d)
			add(layerName(i, "gamma_x"), false, 4*d)
			add(layerName(i, "gamma_c"), false, d)
			add(layerName(i, "beta_c"), false, d)
			for _, part := range []string{"h", "x"} {
				buffer(layerName(i, "mean_"+part), length, 4*d)
				buffer(layerName(i, "variance_"+part), length, 4*d)
			}
			buffer(layerName(i, "mean_c"), length, d)
			buffer(layerName(i, "variance_c"), length, d)
		}
	}
	add(softmaxName, false, a.task.OutputSize, d)
	add(biasName, false, a.task.OutputSize)
	if a.batchNorm {
		buffer(sequencesName, 1)
	}
	return p
}
