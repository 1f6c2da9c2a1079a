package attentivereader

import (
	"strconv"

	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// architecture is the shape of a network, and of its batches.
type architecture struct {
	shape              network.Shape
	document, question stream
	candidates         string // the input with the candidates; empty if there is none
	vocabulary         int

	kind          recurrent.Kind
	units         int
	embedding     int
	normalization recurrent.Normalization
	normalizeCell bool
	dropout       float64
	hiddenBits    int
}

// stream is a text that is read: its inputs and its steps.
type stream struct {
	name, tokens, lengths string
	steps                 int
}

// newArchitecture returns the architecture for a task's shape and the given options.
func newArchitecture(given plugins.Values, shape network.Shape) (architecture, error) {
	v, err := plugins.Resolve("model "+name, options(), given)
	if err != nil {
		return architecture{}, err
	}
	a := architecture{shape: shape, units: v.Int("units"), embedding: v.Int("embedding"), dropout: v.Float("dropout"), hiddenBits: v.Int(stack.HiddenBitsOption.Name)}
	if v.Text("cell") == "gru" {
		a.kind = recurrent.GRU
	}
	if a.normalization, err = recurrent.ParseNormalization(v.Text("normalization")); err != nil {
		return architecture{}, err
	}
	a.normalizeCell = v.Bool("normalize-cell") && a.normalization.Batch() && a.kind == recurrent.LSTM
	if err := a.take(shape); err != nil {
		return architecture{}, err
	}
	if a.normalization.Batch() && shape.Sequences < 2 {
		return architecture{}, plugins.Problemf("model %s: normalization %s takes its statistics over the batch; raise the batch to at least 2 or choose another normalization", name, a.normalization)
	}
	for _, s := range []stream{a.document, a.question} {
		if err := a.layer(s).Check(); err != nil {
			return architecture{}, plugins.Problemf("model %s: %v", name, err)
		}
	}
	return a, nil
}

// take finds the document, the question and the candidates among a shape's inputs.
func (a *architecture) take(shape network.Shape) error {
	if err := shape.Check(); err != nil {
		return plugins.Problemf("model %s: %v", name, err)
	}
	refuse := func(why string) error {
		return plugins.Problemf("model %s serves tasks of two streams, a document and a question, each with tokens of one vocabulary and with lengths, that have one target a sequence and carry no state; this one %s, so choose another model or task", name, why)
	}
	switch {
	case shape.Targets != "":
		return refuse("has a target at each step of the stream " + strconv.Quote(shape.Targets))
	case shape.Carried:
		return refuse("carries state")
	}
	var streams []*stream
	found := map[string]*stream{}
	for _, in := range shape.Inputs {
		if in.Role == network.Candidates {
			a.candidates = in.Name
			continue
		}
		s := found[in.Stream]
		if s == nil {
			s = &stream{name: in.Stream, steps: shape.Steps[in.Stream]}
			found[in.Stream], streams = s, append(streams, s)
		}
		switch {
		case in.Role == network.Lengths:
			s.lengths = in.Name
		case in.Role != network.Tokens:
			return refuse("has " + string(in.Role) + " in the stream " + strconv.Quote(in.Stream))
		case s.tokens != "":
			return refuse("has the tokens " + strconv.Quote(s.tokens) + " and " + strconv.Quote(in.Name) + " in one stream")
		case a.vocabulary != 0 && a.vocabulary != in.Size:
			return refuse("has vocabularies of " + strconv.Itoa(a.vocabulary) + " and " + strconv.Itoa(in.Size))
		default:
			s.tokens, a.vocabulary = in.Name, in.Size
		}
	}
	if len(streams) != 2 {
		return refuse("has not two streams but " + strconv.Itoa(len(streams)))
	}
	for _, s := range streams {
		if s.tokens == "" || s.lengths == "" {
			return refuse("lacks one of them in the stream " + strconv.Quote(s.name))
		}
	}
	a.document, a.question = *streams[0], *streams[1]
	return nil
}

// layer is the shape of either recurrent layer of a stream.
func (a *architecture) layer(s stream) recurrent.Config {
	return recurrent.Config{
		Kind: a.kind, Steps: s.steps, Batch: a.shape.Sequences, Inputs: a.embedding, Units: a.units,
		Normalization: a.normalization, NormalizeCell: a.normalizeCell, HiddenBits: a.hiddenBits, Masked: true,
	}
}

func (a *architecture) attention() recurrent.AttentionConfig {
	return recurrent.AttentionConfig{Steps: a.document.steps, Batch: a.shape.Sequences, Features: 2 * a.units, Units: a.units}
}

func (a *architecture) softmax() recurrent.SoftmaxConfig {
	return recurrent.SoftmaxConfig{Steps: 1, Batch: a.shape.Sequences, Units: a.units, Classes: a.shape.Classes}
}

// attentionName begins the names of the attention's parameters, which
// [recurrent.AttentionConfig] lists. layerName makes the names of a layer's parameters and
// buffers from those that [recurrent.Config] lists. All others are named by [stack.Base].
const attentionName = "attention."

// layerName names a part of the layer that reads stream 0, the document, or 1, the
// question, in a direction.
func layerName(stream, direction int, part string) string {
	return [...]string{"document", "question"}[stream] + [...]string{".forward.", ".backward."}[direction] + part
}

// streams are the document and the question, in the order that layerName counts.
func (a *architecture) streams() [2]stream { return [2]stream{a.document, a.question} }

func (a *architecture) plan() model.Plan {
	var p model.Plan
	add := func(name string, quantize bool, shape ...int) {
		p.Parameters = append(p.Parameters, model.Parameter{Name: name, Shape: shape, Quantize: quantize})
	}
	add(stack.EmbeddingName, false, a.embedding, a.vocabulary)
	for i, s := range a.streams() {
		c := a.layer(s)
		for direction := range recurrent.Directions {
			for _, t := range c.Parameters() {
				add(layerName(i, direction, t.Name), t.Quantize, t.Shape...)
			}
			for _, t := range c.Buffers() {
				p.Buffers = append(p.Buffers, model.Buffer{Name: layerName(i, direction, t.Name), Shape: t.Shape, Statistic: true})
			}
		}
	}
	for _, t := range a.attention().Parameters() {
		add(attentionName+t.Name, t.Quantize, t.Shape...)
	}
	add(stack.SoftmaxName, false, a.shape.Classes, a.units)
	add(stack.BiasName, false, a.shape.Classes)
	if a.normalization.Batch() {
		p.Buffers = append(p.Buffers, model.Buffer{Name: stack.SequencesName, Shape: []int{1}, Statistic: true})
	}
	p.Settings = []model.Setting{
		{Name: model.SettingCell, Value: a.kind.String()},
		{Name: model.SettingUnits, Value: strconv.Itoa(a.units)},
		{Name: model.SettingLayers, Value: "1"},
		{Name: model.SettingNormalization, Value: stack.NormalizationSetting(a.normalization, a.normalizeCell, true)},
		{Name: model.SettingBidirectional, Value: "true"},
		{Name: "embedding", Value: strconv.Itoa(a.embedding)},
	}
	if a.dropout > 0 {
		p.Settings = append(p.Settings, model.Setting{Name: "dropout", Value: strconv.FormatFloat(a.dropout, 'g', -1, 64)})
	}
	if a.hiddenBits > 0 {
		p.Settings = append(p.Settings, model.Setting{Name: model.SettingHiddenBits, Value: strconv.Itoa(a.hiddenBits)})
	}
	return p
}
