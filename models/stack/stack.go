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
package stack

import (
	"context"
	"fmt"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
)

// Model says what kind of layer a model plugin stacks and how it describes itself.
type Model struct {
	Name, Version, Summary string
	Kind                   recurrent.Kind
	Facts                  []plugins.Fact // beside those of every stack
}

// The normalizations of the option of that name.
const (
	batchNormalization  = "batch"
	sharedNormalization = "batch-shared"
	noNormalization     = "none"
)

// New returns the model's plugin. Build makes its network; a second Build replaces it.
func New(m Model) model.Model { return &plugin{Model: m} }

type plugin struct {
	Model
	session *session // nil before Build
}

var options = []plugins.Option{
	{Name: "units", Type: plugins.Int, Default: "512", Min: 1, Max: 8192,
		Doc: "hidden units of every layer"},
	{Name: "layers", Type: plugins.Int, Default: "1", Min: 1, Max: 4,
		Doc: "recurrent layers, each reading the hidden states of the one below"},
	{Name: "normalization", Type: plugins.String, Default: batchNormalization, Choices: []string{batchNormalization, sharedNormalization, noNormalization},
		Doc: "batch: both products and the cell over the minibatch, with statistics of each time step; batch-shared: trained the same, deployed with one set of statistics for all time steps; none: a plain LSTM"},
	{Name: "embedding", Type: plugins.Int, Default: "0", Min: 0, Max: 8192,
		Doc: "features a token is embedded in, in full precision; 0 feeds the first layer one-hot tokens"},
	{Name: "dropout", Type: plugins.Float, Default: "0", Min: 0, Max: 0.95,
		Doc: "probability of dropping a feature of the embedding, between layers and before the softmax, never along time (Zaremba et al., arXiv 1409.2329)"},
}

// Describe implements [model.Model].
func (m *plugin) Describe(context.Context) (plugins.Description, error) {
	tasks := plugins.Fact{Name: "tasks", Value: string(model.LanguageModel) + ", " + string(model.SequenceClassification)}
	return plugins.Description{
		Kind: plugins.KindModel, Name: m.Name, Version: m.Version, API: plugins.APIVersion,
		Summary: m.Summary, Options: options, Facts: append([]plugins.Fact{tasks}, m.Facts...),
	}, nil
}

// Plan implements [model.Model].
func (m *plugin) Plan(_ context.Context, given plugins.Values, task model.Task) (model.Plan, error) {
	a, err := newArchitecture(m.Model, given, task)
	if err != nil {
		return model.Plan{}, err
	}
	return a.plan(), nil
}

// Build implements [model.Model].
func (m *plugin) Build(_ context.Context, request model.Build) error {
	a, err := newArchitecture(m.Model, request.Options, request.Task)
	if err != nil {
		return err
	}
	if m.session != nil {
		if err := m.session.close(); err != nil {
			return err
		}
		m.session = nil
	}
	m.session, err = newSession(a, request)
	return err
}

// Step implements [model.Model].
func (m *plugin) Step(_ context.Context, request model.Step) (model.StepResult, error) {
	s, err := m.built()
	if err != nil {
		return model.StepResult{}, err
	}
	return s.step(request)
}

// Update implements [model.Model].
func (m *plugin) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	s, err := m.built()
	if err != nil {
		return model.UpdateResult{}, err
	}
	return s.update(request)
}

// Evaluate implements [model.Model].
func (m *plugin) Evaluate(_ context.Context, request model.Evaluate) (model.Evaluation, error) {
	s, err := m.built()
	if err != nil {
		return model.Evaluation{}, err
	}
	return s.evaluate(request)
}

func (m *plugin) built() (*session, error) {
	if m.session == nil {
		return nil, fmt.Errorf("%s: the network is not built; call Build first", m.Name)
	}
	return m.session, nil
}
