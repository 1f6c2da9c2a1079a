package null

import (
	"context"
	"slices"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// NewQuantizer returns a quantizer that copies latent weights to quantized ones.
func NewQuantizer() quantizer.Quantizer { return &nullQuantizer{} }

type nullQuantizer struct{ weights []quantizer.Weight }

func (*nullQuantizer) Describe(context.Context) (plugins.Description, error) {
	return describe(plugins.KindQuantizer, "copies the weights; measures the harness's own cost"), nil
}

func (*nullQuantizer) Plan(context.Context, plugins.Values, []quantizer.Shape) ([]quantizer.State, error) {
	return nil, nil
}

func (q *nullQuantizer) Open(_ context.Context, _ plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return nil
}

func (q *nullQuantizer) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.weights {
		copy(w.Quantized, w.Latent)
	}
	return nil
}

func (*nullQuantizer) Initialise(context.Context) error { return nil }

func (*nullQuantizer) Backward(context.Context, quantizer.Backward) error { return nil }

func (*nullQuantizer) Project(context.Context) error { return nil }

func (q *nullQuantizer) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Values: slices.Clone(w.Latent)})
	}
	return frozen, nil
}
