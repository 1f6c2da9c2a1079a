package null

import (
	"context"
	"slices"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// NewQuantizer returns a quantizer that copies latent weights to quantized ones.
func NewQuantizer() quantizer.Quantizer { return &nullQuantizer{} }

type nullQuantizer struct{ quantizer.Base }

func (*nullQuantizer) Describe(context.Context) (plugins.Description, error) {
	return describe(plugins.KindQuantizer, "copies the weights; measures the harness's own cost"), nil
}

func (q *nullQuantizer) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.Weights {
		copy(w.Quantized, w.Latent)
	}
	return nil
}

func (q *nullQuantizer) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var frozen []quantizer.Frozen
	for _, w := range q.Weights {
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Values: slices.Clone(w.Latent)})
	}
	return frozen, nil
}
