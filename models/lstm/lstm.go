// Package lstm is the model plugin of the paper: layers of long short-term
// memory, batch-normalised unless told otherwise, under a softmax. It serves
// language models over characters and words and the classification of whole
// sequences.
//
//	layer:  a_t = BN(Wh·h_{t−1}; γh, β) + BN(Wx·x_t; γx, 0)
//	        (g,f,i,o) = (tanh, σ, σ, σ)(a_t)
//	        c_t = f∘c_{t−1} + i∘g
//	        h_t = o∘tanh(BN(c_t; γc, βc))
//	output: softmax(W·h_t + b)
//
// The equations and starting values are those of Ardakani et al., "Learning
// Recurrent Binary/Ternary Weights" (ICLR 2019). Wx and Wh of every layer go
// through the quantizer; all else stays full precision. Every sequence starts
// from the learned h0 and c0, in training, evaluation and deployment.
package lstm

import (
	"context"
	"fmt"

	"bittern/plugins"
	"bittern/plugins/model"
)

// The plugin's name and version.
const (
	name    = "lstm"
	version = "1.1.0"
)

// The normalizations of the option of that name.
const (
	batchNormalization  = "batch"
	sharedNormalization = "batch-shared"
	noNormalization     = "none"
)

// New returns the plugin. Build makes its network; a second Build replaces it.
func New() model.Model { return &plugin{} }

type plugin struct {
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
func (*plugin) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindModel, Name: name, Version: version, API: plugins.APIVersion,
		Summary: "LSTM with batch normalization at three places and learned start state (Ardakani et al., ICLR 2019)",
		Options: options,
		Facts: []plugins.Fact{
			{Name: "tasks", Value: string(model.LanguageModel) + ", " + string(model.SequenceClassification)},
			{Name: "gates", Value: "g, f, i, o stacked in Wx and Wh"},
		},
	}, nil
}

// Plan implements [model.Model].
func (*plugin) Plan(_ context.Context, given plugins.Values, task model.Task) (model.Plan, error) {
	a, err := newArchitecture(given, task)
	if err != nil {
		return model.Plan{}, err
	}
	return a.plan(), nil
}

// Build implements [model.Model].
func (m *plugin) Build(_ context.Context, request model.Build) error {
	a, err := newArchitecture(request.Options, request.Task)
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
		return nil, fmt.Errorf("%s: the network is not built; call Build first", name)
	}
	return m.session, nil
}
