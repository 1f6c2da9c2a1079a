// Package stack makes models of recurrent layers of one kind under a softmax.
// They serve tasks with one stream of tokens or features, which may have lengths,
// and a target at each step, as language models have, or one a sequence.
//
//	layer 0 reads the token, as one-hot or embedded, or the features of a step
//	layer i reads the hidden states of layer i−1
//	output: softmax(W·h_t + b) of the last layer's, at every step or at the last
//
// With option hidden-bits every h is rounded before anything reads it.
//
// With two directions, every layer is a pair, one of which reads sequences from their last
// step to their first. The layer above reads the hidden states of both, side by side; the
// output reads the state that each direction ends with.
//
// The layers and their normalizations are those of package recurrent. Wx and Wh
// of every layer go through the quantizer; all else stays full precision. A fresh
// sequence starts from the learned initial state, in training, evaluation and
// deployment; one that goes on starts from the state that its place in the batch had.
//
// [New] makes the whole plugin. A model of another shape embeds [Base], which has what the
// sessions of all models share, and builds its layers from the operators of package
// recurrent and the functions of package graph; [Session] is built so. Where Base does not
// fit, its parts can be used alone: [Optimiser]; [Orthogonal] and [Random] for starting
// values; and [StepKey] for the masks of [recurrent.Dropout].
package stack

import (
	"context"

	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
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
	model.Base
}

// HiddenBitsOption is the option of models whose recurrent layers can round their hidden
// states; see [recurrent.Config].
var HiddenBitsOption = plugins.Option{Name: "hidden-bits", Type: plugins.Int, Default: "0", Min: 0, Max: stepgraph.MostBits,
	Doc: "rounds every hidden state, the first included, to so many bits: to the nearest of 2^bits evenly spaced levels from −1 to 1, which the next step and the layer above read, in training (straight-through gradient), evaluation and the deployed network (as activations of DoReFa-Net, Zhou et al., arXiv 1606.06160); 0 leaves them as they are"}

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
			Doc: "of both products of a layer. batch: over the minibatch, deployed with statistics of each time step, or with one set for all steps, as batch-shared, on tasks that carry state from batch to batch, for there is no first step to count from, and where sequences have lengths, for few have the last steps; batch-shared: trained the same, deployed with one set of statistics for all time steps; layer: over the features of a gate; weight: rows of the matrices scaled to a learned norm; none: a plain " + m.Kind.String()},
		{Name: "embedding", Type: plugins.Int, Default: "0", Min: 0, Max: 8192,
			Doc: "features a token is embedded in, in full precision; 0 feeds the first layer one-hot tokens"},
		{Name: "dropout", Type: plugins.Float, Default: "0", Min: 0, Max: 0.95,
			Doc: "probability of dropping a feature of the embedding, between layers and before the softmax, never along time (Zaremba et al., arXiv 1409.2329)"},
		{Name: "initial-noise", Type: plugins.Float, Default: "0", Min: 0, Max: 1,
			Doc: "standard deviation of Gaussian noise on the hidden state that a fresh sequence starts from, drawn for each sequence and layer, in training and where an evaluation normalises with statistics of the batch, never in the deployed network; 0.1 lets batch normalization train on sequences that all begin alike, as images with black borders do (Cooijmans et al., ICLR 2017)"},
		HiddenBitsOption,
		{Name: "bidirectional", Type: plugins.Bool, Default: "false",
			Doc: "every layer reads sequences in both directions, with units in each, and the next layer reads both; for tasks with one target a sequence (Schuster and Paliwal, IEEE Transactions on Signal Processing 45, 1997)"},
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
	tasks := plugins.Fact{Name: "tasks", Value: "one stream of tokens or features, a target at each step or one a sequence"}
	return plugins.Description{
		Kind: plugins.KindModel, Name: m.Name, Version: m.Version, API: plugins.APIVersion,
		Summary: m.Summary, Options: m.options(), Traits: []string{model.TraitBFloat16}, Facts: append([]plugins.Fact{tasks}, m.Facts...),
	}, nil
}

// Plan implements [model.Model].
func (m *plugin) Plan(_ context.Context, given plugins.Values, shape network.Shape) (model.Plan, error) {
	a, err := m.architecture(given, shape)
	if err != nil {
		return model.Plan{}, err
	}
	return a.Plan(), nil
}

// Build implements [model.Model].
func (m *plugin) Build(_ context.Context, request model.Build) error {
	a, err := m.architecture(request.Options, request.Shape)
	if err != nil {
		return err
	}
	return m.Open(func() (model.Session, error) { return NewSession(a, request) })
}
