// Package stack makes models of recurrent layers of one kind under a softmax.
// They serve language models over characters and words and the classification
// of whole sequences.
//
//	layer 0 reads the token, as one-hot or embedded, or the features of a step
//	layer i reads the hidden states of layer i−1
//	output: softmax(W·h_t + b) of the last layer's, at every step or at the last
//
// The layers and their normalizations are those of package recurrent. Wx and Wh
// of every layer go through the quantizer; all else stays full precision. Every
// sequence starts from the learned initial state, in training, evaluation and
// deployment.
//
// [New] is the whole plugin. A model of another shape takes the parts: recurrent's
// operators and graph's programs, [Session] where a stack is all of it, [Optimiser],
// [Orthogonal] and [Random] for starting values, [CheckTensors] for what Build is
// given and [DropoutKey] for the masks of [recurrent.Dropout].
package stack

import (
	"context"
	"fmt"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// Model says what kind of layer a model plugin stacks and how it describes itself.
type Model struct {
	Name, Version, Summary string
	Kind                   recurrent.Kind
	Facts                  []plugins.Fact // beside those of every stack
}

// New returns the model's plugin. Build makes its network; a second Build replaces it.
func New(m Model) model.Model { return &plugin{Model: m} }

type plugin struct {
	Model
	session *Session // nil before Build
}

// options are those of a stack of the model's kind.
func (m Model) options() []plugins.Option {
	var normalizations []string
	for _, n := range recurrent.Normalizations {
		normalizations = append(normalizations, n.String())
	}
	options := []plugins.Option{
		{Name: "units", Type: plugins.Int, Default: "512", Min: 1, Max: 8192,
			Doc: "hidden units of every layer"},
		{Name: "layers", Type: plugins.Int, Default: "1", Min: 1, Max: 4,
			Doc: "recurrent layers, each reading the hidden states of the one below"},
		{Name: "normalization", Type: plugins.String, Default: recurrent.BatchNorm.String(), Choices: normalizations,
			Doc: "of both products of a layer. batch: over the minibatch, with statistics of each time step; batch-shared: trained the same, deployed with one set of statistics for all time steps; layer: over the features of a gate; weight: rows of the matrices scaled to a learned norm; none: a plain " + m.Kind.String()},
		{Name: "embedding", Type: plugins.Int, Default: "0", Min: 0, Max: 8192,
			Doc: "features a token is embedded in, in full precision; 0 feeds the first layer one-hot tokens"},
		{Name: "dropout", Type: plugins.Float, Default: "0", Min: 0, Max: 0.95,
			Doc: "probability of dropping a feature of the embedding, between layers and before the softmax, never along time (Zaremba et al., arXiv 1409.2329)"},
	}
	if m.Kind == recurrent.LSTM {
		return append(options, plugins.Option{Name: "normalize-cell", Type: plugins.Bool, Default: "true",
			Doc: "batch and batch-shared: true normalises the cell too and gives both products one bias (Ardakani et al., ICLR 2019); false leaves the cell and gives each product a bias (Hou et al., NeurIPS 2019). Other normalizations never normalise the cell"})
	}
	return append(options, plugins.Option{Name: "reset", Type: plugins.String, Default: "after", Choices: []string{"after", "before"},
		Doc: "the reset gate multiplies the hidden state after the recurrent product (as PyTorch has it: one product a step) or before (Cho et al., EMNLP 2014: two, the candidate's rows of Wh being a weight of their own, Whn)"})
}

// Describe implements [model.Model].
func (m *plugin) Describe(context.Context) (plugins.Description, error) {
	tasks := plugins.Fact{Name: "tasks", Value: string(model.LanguageModel) + ", " + string(model.SequenceClassification)}
	return plugins.Description{
		Kind: plugins.KindModel, Name: m.Name, Version: m.Version, API: plugins.APIVersion,
		Summary: m.Summary, Options: m.options(), Facts: append([]plugins.Fact{tasks}, m.Facts...),
	}, nil
}

// Plan implements [model.Model].
func (m *plugin) Plan(_ context.Context, given plugins.Values, task model.Task) (model.Plan, error) {
	a, err := m.architecture(given, task)
	if err != nil {
		return model.Plan{}, err
	}
	return a.Plan(), nil
}

// Build implements [model.Model].
func (m *plugin) Build(_ context.Context, request model.Build) error {
	a, err := m.architecture(request.Options, request.Task)
	if err != nil {
		return err
	}
	if m.session != nil {
		if err := m.session.Close(); err != nil {
			return err
		}
		m.session = nil
	}
	m.session, err = NewSession(a, request)
	return err
}

// Step implements [model.Model].
func (m *plugin) Step(_ context.Context, request model.Step) (model.StepResult, error) {
	s, err := m.built()
	if err != nil {
		return model.StepResult{}, err
	}
	return s.Step(request)
}

// Update implements [model.Model].
func (m *plugin) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	s, err := m.built()
	if err != nil {
		return model.UpdateResult{}, err
	}
	return s.Update(request)
}

// Evaluate implements [model.Model].
func (m *plugin) Evaluate(_ context.Context, request model.Evaluate) (model.Evaluation, error) {
	s, err := m.built()
	if err != nil {
		return model.Evaluation{}, err
	}
	return s.Evaluate(request)
}

func (m *plugin) built() (*Session, error) {
	if m.session == nil {
		return nil, fmt.Errorf("%s: the network is not built; call Build first", m.Name)
	}
	return m.session, nil
}

// Export implements [model.Model]; see [Session.Export].
func (m *plugin) Export(context.Context) (stepgraph.Graph, error) {
	s, err := m.built()
	if err != nil {
		return stepgraph.Graph{}, err
	}
	return s.Export()
}
