// Package attentivereader is the model plugin of question answering: the Attentive
// Reader of Hermann et al., "Teaching Machines to Read and Comprehend" (NIPS 2015),
// section 3.3, with the recurrent layers of Ardakani et al., "Learning Recurrent
// Binary/Ternary Weights" (ICLR 2019).
//
//	document:   y(t) = →y(t) ‖ ←y(t), of two layers that read E·d_t in both directions
//	question:   u = →y(|q|) ‖ ←y(1), of two others that read E·q_t
//	attention:  m(t) = tanh(Wym·y(t) + Wum·u)    s(t) ∝ exp(wms·m(t)) over the document
//	            r = Σ s(t)·y(t)                  g = tanh(Wrg·r + Wug·u)
//	answer:     p ∝ exp(W·g + b) over the candidates
//
// It serves tasks of two streams, each with tokens and lengths. The first stream among
// the inputs is the document, the second the question. Both use one vocabulary and
// share the embedding E. m and g have as many values as a layer has units. Wx
// and Wh of the four layers go through the quantizer; all else stays full precision. With
// option hidden-bits the hidden states of the four layers are rounded, see
// [recurrent.Config]; r, m and g are not.
package attentivereader

import (
	"context"

	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

const name = "attentive-reader"

// New returns the plugin. Build makes its network; a second Build replaces it.
func New() model.Model { return &plugin{} }

type plugin struct{ model.Base }

func options() []plugins.Option {
	var normalizations []string
	for _, n := range recurrent.Normalizations {
		normalizations = append(normalizations, n.String())
	}
	return []plugins.Option{
		{Name: "cell", Type: plugins.String, Default: "lstm", Choices: []string{"lstm", "gru"},
			Doc: "the kind of all four recurrent layers; a gru applies its reset gate after the recurrent product, as PyTorch does"},
		{Name: "units", Type: plugins.Int, Default: "256", Min: 1, Max: 8192,
			Doc: "hidden units of each recurrent layer, of which two read the document and two the question, and values of m and g of the attention"},
		{Name: "embedding", Type: plugins.Int, Default: "200", Min: 1, Max: 8192,
			Doc: "features a token is embedded in, in full precision"},
		{Name: "normalization", Type: plugins.String, Default: recurrent.BatchNorm.String(), Choices: normalizations,
			Doc: "of both products of a layer. batch and batch-shared: over the sequences of the minibatch that have the time step, deployed with one set of statistics for all time steps, as sequences differ in length; layer: over the features of a gate; weight: rows of the matrices scaled to a learned norm; none: plain layers"},
		{Name: "normalize-cell", Type: plugins.Bool, Default: "true",
			Doc: "batch and batch-shared of an lstm: true normalises the cell too and gives both products one bias (Ardakani et al., ICLR 2019); false leaves the cell and gives each product a bias (Hou et al., NeurIPS 2019). Other normalizations never normalise the cell"},
		stack.HiddenBitsOption,
		{Name: "dropout", Type: plugins.Float, Default: "0", Min: 0, Max: 0.95,
			Doc: "probability of dropping a feature of the embedding, of what the layers give out, and of g before the softmax, never along time (Zaremba et al., arXiv 1409.2329)"},
	}
}

// Describe implements [model.Model].
func (p *plugin) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindModel, Name: name, Version: "1.0.2", API: plugins.APIVersion,
		Summary: "Attentive Reader: two bidirectional readers and attention over the document (Hermann et al., NIPS 2015)",
		Options: options(),
		Traits:  []string{model.TraitBFloat16},
		Facts:   []plugins.Fact{{Name: "tasks", Value: "a document and a question, each of tokens with lengths; one answer a question, of candidates where there are some"}},
	}, nil
}

// Plan implements [model.Model].
func (p *plugin) Plan(_ context.Context, given plugins.Values, shape network.Shape) (model.Plan, error) {
	a, err := newArchitecture(given, shape)
	if err != nil {
		return model.Plan{}, err
	}
	return a.plan(), nil
}

// Build implements [model.Model].
func (p *plugin) Build(_ context.Context, request model.Build) error {
	a, err := newArchitecture(request.Options, request.Shape)
	if err != nil {
		return err
	}
	return p.Open(func() (model.Session, error) { return newSession(a, request) })
}
