// Command lstm-gru is a model plugin for Bittern: two recurrent layers of different kinds.
// An LSTM reads the tokens, a GRU reads the LSTM, and a softmax predicts from the GRU:
//
//	h¹_t = LSTM(x_t, h¹_{t−1})
//	h²_t = GRU(h¹_t, h²_{t−1})
//	p(y_t) = softmax(W·h²_t + b)
//
// Both layers have the normalization that the option names. Their weights go through the
// quantizer; the softmax stays in full precision.
//
// A stack of layers of one kind is shorter still: see stack.New, which is the whole of
// Bittern's own models lstm and gru.
package main

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/sdk"
	"bittern/plugins/stepgraph"
)

// Bittern starts the plugin as a process; ServeModel speaks with it.
func main() { sdk.ServeModel(New()) }

// New returns the model.
func New() model.Model { return &mixed{} }

const name = "lstm-gru"

// mixed is the model. The Base that it embeds hands Step, Update, Evaluate and Export on to
// the session that Build opens.
type mixed struct{ model.Base }

// Describe says what the plugin is. Bittern shows it to users and checks their options
// against it, so that Plan and Build get every option, within its bounds.
func (*mixed) Describe(context.Context) (plugins.Description, error) {
	var normalizations []string
	for _, n := range recurrent.Normalizations {
		normalizations = append(normalizations, n.String())
	}
	return plugins.Description{
		Kind: plugins.KindModel, Name: name, Version: "1.0.0", API: plugins.APIVersion,
		Summary: "a GRU that reads an LSTM",
		Options: []plugins.Option{
			{Name: "units", Type: plugins.Int, Default: "128", Min: 1, Max: 8192, Doc: "hidden units of each layer"},
			{Name: "normalization", Type: plugins.String, Default: recurrent.LayerNorm.String(), Choices: normalizations,
				Doc: "of both products of a layer, as model lstm has it"},
			{Name: "dropout", Type: plugins.Float, Default: "0", Min: 0, Max: 0.95, Doc: "probability of dropping an output of a layer, in training"},
		},
	}, nil
}

// Plan lists the parameters and buffers of the network, for Bittern to allocate and save.
func (*mixed) Plan(_ context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	d, err := newDesign(options, shape)
	if err != nil {
		return model.Plan{}, err
	}
	return d.plan(), nil
}

// Build makes the network in the tensors that Bittern has allocated.
func (m *mixed) Build(_ context.Context, request model.Build) error {
	d, err := newDesign(request.Options, request.Shape)
	if err != nil {
		return err
	}
	return m.Open(func() (model.Session, error) { return newSession(d, request) })
}

// design is what the options and the task make of the network.
type design struct {
	input   network.Input
	configs [2]recurrent.Config // of the LSTM and the GRU
	softmax recurrent.SoftmaxConfig
	dropout float64
}

// newDesign refuses with a Problem what the model does not serve: one sentence that the
// user reads before anything trains.
func newDesign(options plugins.Values, shape network.Shape) (design, error) {
	if len(shape.Inputs) != 1 || shape.Inputs[0].Role != network.Tokens || shape.Targets != shape.Inputs[0].Stream || shape.Carried {
		return design{}, plugins.Problemf("model %s serves tasks with one input of tokens and a target at each step, whose sequences carry no state; choose another task or model", name)
	}
	normalization, err := recurrent.ParseNormalization(options.Text("normalization"))
	if err != nil {
		return design{}, err
	}
	in, units := shape.Inputs[0], options.Int("units")
	steps := shape.Steps[in.Stream]
	lower := recurrent.Config{
		Kind: recurrent.LSTM, Steps: steps, Batch: shape.Sequences, Inputs: in.Size, Tokens: true, Units: units, Normalization: normalization,
	}
	upper := recurrent.Config{
		Kind: recurrent.GRU, Steps: steps, Batch: shape.Sequences, Inputs: units, Units: units, Normalization: normalization,
	}
	for _, c := range []recurrent.Config{lower, upper} {
		if err := c.Check(); err != nil {
			return design{}, plugins.Problemf("model %s: %v", name, err)
		}
	}
	return design{
		input: in, configs: [2]recurrent.Config{lower, upper}, dropout: options.Float("dropout"),
		softmax: recurrent.SoftmaxConfig{Steps: steps, Batch: shape.Sequences, Units: units, Classes: shape.Classes},
	}, nil
}

// layerName is the name of a parameter, a buffer or a value of layer i.
func layerName(i int, part string) string { return [...]string{"lstm.", "gru."}[i] + part }

func (d design) plan() model.Plan {
	p := model.Plan{Settings: []model.Setting{ // what tables show of the network
		{Name: model.SettingCell, Value: "LSTM+GRU"},
		{Name: model.SettingUnits, Value: strconv.Itoa(d.softmax.Units)},
		{Name: model.SettingLayers, Value: "2"},
		{Name: model.SettingNormalization, Value: d.configs[0].Normalization.String()},
	}}
	for i, c := range d.configs {
		for _, t := range c.Parameters() { // Quantize marks the matrices that the quantizer gets
			p.Parameters = append(p.Parameters, model.Parameter{Name: layerName(i, t.Name), Shape: t.Shape, Quantize: t.Quantize})
		}
		for _, t := range c.Buffers() {
			p.Buffers = append(p.Buffers, model.Buffer{Name: layerName(i, t.Name), Shape: t.Shape, Statistic: true})
		}
	}
	p.Parameters = append(p.Parameters,
		model.Parameter{Name: stack.SoftmaxName, Shape: []int{d.softmax.Classes, d.softmax.Units}},
		model.Parameter{Name: stack.BiasName, Shape: []int{d.softmax.Classes}})
	if d.configs[0].Normalization.Batch() {
		p.Buffers = append(p.Buffers, model.Buffer{Name: stack.SequencesName, Shape: []int{1}, Statistic: true})
	}
	return p
}

// session is a built network: its layers on the Base that the sessions of all of Bittern's
// models have.
type session struct {
	design
	*stack.Base
	layers  [2]recurrent.Layer
	running [2]*recurrent.Running // statistics of batch normalization, else nil
}

func newSession(d design, request model.Build) (*session, error) {
	base, err := stack.NewBase(name, d.plan(), request)
	if err != nil {
		return nil, err
	}
	s := &session{design: d, Base: base}
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// initialise writes the starting values of all parameters.
func (s *session) initialise() error {
	if err := s.Initialise(); err != nil {
		return err
	}
	for i, c := range s.configs {
		c.Initialise(s.layerWeights(i, s.Value))
	}
	return nil
}

// layerWeights are the parameters of layer i, each as get finds it by its name.
func (s *session) layerWeights(i int, get func(name string) []float32) (w recurrent.Weights) {
	for _, t := range s.configs[i].Parameters() {
		*w.Field(t.Name) = get(layerName(i, t.Name))
	}
	return w
}

// assemble builds the graph that is differentiated, from the tokens to the loss.
func (s *session) assemble() error {
	tokens := graph.Tensor{Shape: []int{s.softmax.Steps, s.softmax.Batch}, Int32: s.Request.Batch.Int32[s.input.Name]}
	x := s.Graph.Input("input", tokens)
	for i, c := range s.configs {
		layer, err := recurrent.New(s.Team, c)
		if err != nil {
			return err
		}
		s.layers[i], s.running[i] = layer, s.Running(c, func(part string) string { return layerName(i, part) })
		inputs := []*graph.Node{x}
		for _, t := range c.Parameters() {
			inputs = append(inputs, s.Parameter(layerName(i, t.Name)))
		}
		x = s.Dropped(s.Graph.Apply(graph.Recurrent(layer, false), inputs...), s.dropout)
	}
	return s.Classify(x, s.softmax, nil)
}

// prepare tells the layers how to normalise in the pass that follows.
func (s *session) prepare(statistics recurrent.Statistics) {
	for i, layer := range s.layers {
		layer.Prepare(recurrent.Pass{Statistics: statistics, Running: s.running[i]})
	}
}

// Step runs forward and backward on the batch.
func (s *session) Step(request model.Step) (model.StepResult, error) {
	s.prepare(recurrent.Batch)
	return s.Base.Step(request)
}

// Evaluate runs forward on the batch.
func (s *session) Evaluate(request model.Evaluate) (network.Score, error) {
	statistics, err := s.Statistics(request)
	if err != nil {
		return network.Score{}, err
	}
	s.prepare(statistics)
	return s.Score(request, statistics)
}

// Export describes the network, normalization statistics frozen, to the backends: one step
// graph that is scanned along the tokens. Weights are named, not contained.
func (s *session) Export() (network.Network, error) {
	if err := s.Calibrated(); err != nil {
		return network.Network{}, err
	}
	g := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: s.input.Size}}}
	x := "x"
	for i, layer := range s.layers {
		var err error
		x, err = layer.Export(s.layerWeights(i, s.Effective), recurrent.Export{
			Graph: &g, Input: x, Running: s.running[i], Name: func(part string) string { return layerName(i, part) },
		})
		if err != nil {
			return network.Network{}, err
		}
	}
	g.Nodes = append(g.Nodes,
		stepgraph.Node{Name: "W·h", Op: stepgraph.MatVec, Inputs: []string{x}, Size: s.softmax.Classes, Weight: stack.SoftmaxName},
		stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"W·h"}, Size: s.softmax.Classes,
			Shift: stepgraph.Table{Rows: 1, Values: slices.Clone(s.Effective(stack.BiasName))}})
	g.Output = "logits"
	return network.Network{
		Model: name, Inputs: []network.Input{s.input}, Output: "scan",
		Stages: []network.Stage{{Name: "scan", Op: network.Scan, Inputs: []string{s.input.Name}, Graph: g}},
	}, nil
}
