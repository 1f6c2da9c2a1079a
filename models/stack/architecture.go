package stack

import (
	"fmt"
	"strconv"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// Architecture is what a stack is made of, and the shape of its task.
type Architecture struct {
	Name          string // of the model, for errors and the exported network
	Shape         network.Shape
	Kind          recurrent.Kind
	Units         int // of every layer, in each direction
	Layers        int
	Normalization recurrent.Normalization
	NormalizeCell bool    // see [recurrent.Config]
	ResetBefore   bool    // see [recurrent.Config]
	Bidirectional bool    // every layer reads both directions
	Embedding     int     // features of a token; 0 = one-hot
	Dropout       float64 // probability
	HiddenBits    int     // see [recurrent.Config]
	InitialNoise  float64 // standard deviation of the noise on h_0; see [recurrent.Pass]
}

// architecture returns the architecture for a task's shape and the given options.
func (m Model) architecture(given plugins.Values, shape network.Shape) (Architecture, error) {
	v, err := plugins.Resolve("model "+m.Name, m.options(), given)
	if err != nil {
		return Architecture{}, err
	}
	a := Architecture{
		Name: m.Name, Shape: shape, Kind: m.Kind, Units: v.Int("units"), Layers: v.Int("layers"),
		Bidirectional: v.Bool("bidirectional"), Embedding: v.Int("embedding"), Dropout: v.Float("dropout"),
		InitialNoise: v.Float("initial-noise"), HiddenBits: v.Int(HiddenBitsOption.Name),
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

// serves are the shapes that a stack is for.
const serves = "it serves tasks with one stream that has one input of tokens or of features, with or without lengths, and a target at each step or one a sequence"

// Check returns a problem that says how to mend an architecture that no stack can have.
func (a Architecture) Check() error {
	if err := a.Shape.Check(); err != nil {
		return plugins.Problemf("model %s cannot be built for this task: %v", a.Name, err)
	}
	read := 0
	for _, in := range a.Shape.Inputs {
		switch {
		case in.Role == network.Candidates:
			return plugins.Problemf("model %s does not serve a task with candidates, the input %q; %s", a.Name, in.Name, serves)
		case in.Stream != a.Shape.Inputs[0].Stream:
			return plugins.Problemf("model %s does not serve a task with the streams %q and %q; %s", a.Name, a.Shape.Inputs[0].Stream, in.Stream, serves)
		case in.Role != network.Lengths:
			read++
		}
	}
	if read != 1 {
		return plugins.Problemf("model %s does not serve a task with %d inputs to read; %s", a.Name, read, serves)
	}
	switch {
	case a.Bidirectional && a.Shape.Targets != "":
		return plugins.Problemf("model %s: with option bidirectional the network would read the steps that it is to predict, for the task has a target at each step; set it to false", a.Name)
	case a.Bidirectional && a.Shape.Carried:
		return plugins.Problemf("model %s: option bidirectional needs whole sequences, and the task's go on from batch to batch; set it to false", a.Name)
	case a.Embedding > 0 && !a.tokens():
		return plugins.Problemf("model %s: option embedding is for tokens, and the input %q has features; set it to 0", a.Name, a.input().Name)
	case a.Normalization.Batch() && a.Shape.Sequences < 2:
		return plugins.Problemf("model %s: normalization %s takes its statistics over the batch; raise the batch to at least 2 or choose another normalization", a.Name, a.Normalization)
	}
	for i := range a.Layers {
		for _, scan := range a.scans(i) {
			if err := scan.config.Check(); err != nil {
				return plugins.Problemf("model %s: %v", a.Name, err)
			}
		}
	}
	return nil
}

// input is what the first layer reads.
func (a Architecture) input() network.Input {
	for _, in := range a.Shape.Inputs {
		if in.Role != network.Lengths {
			return in
		}
	}
	return network.Input{}
}

// lengths returns the name of the input that has the lengths of sequences, if there is one.
func (a Architecture) lengths() (name string, given bool) {
	for _, in := range a.Shape.Inputs {
		if in.Role == network.Lengths {
			return in.Name, true
		}
	}
	return "", false
}

func (a Architecture) tokens() bool { return a.input().Role == network.Tokens }

// steps is the number of time steps of the stream.
func (a Architecture) steps() int { return a.Shape.Steps[a.input().Stream] }

// once says whether each sequence has one target, not one at each step.
func (a Architecture) once() bool { return a.Shape.Targets == "" }

// width is how many values a layer gives out at a step.
func (a Architecture) width() int {
	if a.Bidirectional {
		return 2 * a.Units
	}
	return a.Units
}

// The names of parameters and buffers beside those that [Base] knows. Those of layer i
// are "layerI.", with two directions "layerI.forward." and "layerI.backward.", and the
// names that [recurrent.Config] lists.
const (
	// A layer's state that the next training batch goes on from, [sequences × Units].
	hiddenPart = "h"
	cellPart   = "c"
)

// scan is one recurrent layer in one direction.
type scan struct {
	layer  string // its name, before those of its parameters and buffers
	config recurrent.Config
}

func (s scan) name(part string) string { return s.layer + "." + part }

// scans are layer i's directions.
func (a Architecture) scans(i int) []scan {
	_, masked := a.lengths()
	c := recurrent.Config{
		Kind: a.Kind, Steps: a.steps(), Batch: a.Shape.Sequences, Inputs: a.width(), Units: a.Units,
		Normalization: a.Normalization, NormalizeCell: a.NormalizeCell, ResetBefore: a.ResetBefore, HiddenBits: a.HiddenBits,
		Carry: a.Shape.Carried, Masked: masked,
	}
	if i == 0 {
		c.Inputs = a.input().Size
		c.Tokens = a.tokens() && a.Embedding == 0
		if a.Embedding > 0 {
			c.Inputs = a.Embedding
		}
	}
	layer := fmt.Sprintf("layer%d", i)
	if !a.Bidirectional {
		return []scan{{layer, c}}
	}
	reverse := c
	reverse.Reverse = true
	return []scan{{layer + ".forward", c}, {layer + ".backward", reverse}}
}

// output returns the shape of the softmax layer, which runs at every step or at the last.
func (a Architecture) output() recurrent.SoftmaxConfig {
	steps := a.steps()
	if a.once() {
		steps = 1
	}
	return recurrent.SoftmaxConfig{Steps: steps, Batch: a.Shape.Sequences, Units: a.width(), Classes: a.Shape.Classes}
}

// Plan lists the parameters and buffers of the stack: those of the embedding, of each layer
// and of the softmax, and with batch normalization the number of sequences that the running
// statistics were gathered from.
func (a Architecture) Plan() model.Plan {
	p := model.Plan{Settings: a.settings()}
	add := func(name string, quantize bool, shape ...int) {
		p.Parameters = append(p.Parameters, model.Parameter{Name: name, Shape: shape, Quantize: quantize})
	}
	if a.Embedding > 0 {
		add(EmbeddingName, false, a.Embedding, a.input().Size)
	}
	for i := range a.Layers {
		for _, scan := range a.scans(i) {
			for _, tensor := range scan.config.Parameters() {
				add(scan.name(tensor.Name), tensor.Quantize, tensor.Shape...)
			}
			for _, tensor := range scan.config.Buffers() {
				p.Buffers = append(p.Buffers, model.Buffer{Name: scan.name(tensor.Name), Shape: tensor.Shape, Statistic: true})
			}
			for _, tensor := range carriedTensors(scan.config) {
				p.Buffers = append(p.Buffers, model.Buffer{Name: scan.name(tensor.Name), Shape: tensor.Shape})
			}
		}
	}
	add(SoftmaxName, false, a.Shape.Classes, a.width())
	add(BiasName, false, a.Shape.Classes)
	if a.Normalization.Batch() {
		p.Buffers = append(p.Buffers, model.Buffer{Name: SequencesName, Shape: []int{1}, Statistic: true})
	}
	return p
}

// carriedTensors is the state that a layer carries from batch to batch.
func carriedTensors(c recurrent.Config) []recurrent.Tensor {
	if !c.Carry {
		return nil
	}
	shape := []int{c.Batch, c.Units}
	list := []recurrent.Tensor{{Name: hiddenPart, Shape: shape}}
	if c.Kind == recurrent.LSTM {
		list = append(list, recurrent.Tensor{Name: cellPart, Shape: shape})
	}
	return list
}

// NormalizationSetting returns the [model.SettingNormalization] of a network. With batch
// normalization it says whether the cell is normalised too and, if not, whether one set of
// statistics is deployed for all time steps.
func NormalizationSetting(n recurrent.Normalization, cell, oneSet bool) string {
	switch {
	case cell:
		return n.String() + "-cell"
	case oneSet && n == recurrent.BatchNorm:
		n = recurrent.SharedBatchNorm
	}
	return n.String()
}

// settings say what the network is, in the words of the field.
func (a Architecture) settings() []model.Setting {
	_, masked := a.lengths()
	normalization := NormalizationSetting(a.Normalization, a.NormalizeCell, a.Shape.Carried || masked)
	settings := []model.Setting{
		{Name: model.SettingCell, Value: a.Kind.String()},
		{Name: model.SettingUnits, Value: strconv.Itoa(a.Units)},
		{Name: model.SettingLayers, Value: strconv.Itoa(a.Layers)},
		{Name: model.SettingNormalization, Value: normalization},
	}
	add := func(set bool, name, value string) {
		if set {
			settings = append(settings, model.Setting{Name: name, Value: value})
		}
	}
	add(a.ResetBefore, "reset", "before")
	add(a.Bidirectional, model.SettingBidirectional, "true")
	add(a.Embedding > 0, "embedding", strconv.Itoa(a.Embedding))
	add(a.Dropout > 0, "dropout", strconv.FormatFloat(a.Dropout, 'g', -1, 64))
	add(a.HiddenBits > 0, model.SettingHiddenBits, strconv.Itoa(a.HiddenBits))
	return settings
}
