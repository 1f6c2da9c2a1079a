// Command bwn is a whole quantizer plugin: Binary Weight Networks (Rastegari et
// al., XNOR-Net, ECCV 2016, section 3.1). Each row of a weight matrix becomes
// ±α with α the mean of the row's absolute values, the closest such row in the
// least-squares sense.
//
// Build it as bittern-quantizer-bwn into the plugin folder. An author outside
// this tree does the same in a module of their own, whose go.mod requires
// bittern and replaces it by a checkout.
package main

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

func main() { sdk.ServeQuantizer(&bwn{}) }

type bwn struct{ weights []quantizer.Weight }

func (*bwn) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindQuantizer, Name: "bwn", Version: "1.0.0", API: plugins.APIVersion,
		Summary: "sign of the weight times the mean absolute value of its row (Rastegari et al. 2016)",
		Facts:   []plugins.Fact{{Name: "bits per weight", Value: "1"}},
	}, nil
}

func (*bwn) Plan(context.Context, plugins.Values, []quantizer.Shape) ([]quantizer.State, error) {
	return nil, nil // no learned scales
}

func (q *bwn) Open(_ context.Context, _ plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return nil
}

func (q *bwn) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.weights {
		for row := range w.Rows {
			latent, quantized := w.Latent[row*w.Cols:][:w.Cols], w.Quantized[row*w.Cols:][:w.Cols]
			scale, err := meanAbsolute(w.Name, latent)
			if err != nil {
				return err
			}
			for i, v := range latent {
				quantized[i] = scale * sign(v)
			}
		}
	}
	return nil
}

func (q *bwn) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		p := quantizer.Plane{Bits: 1, Codes: make([]uint16, len(w.Latent)), Levels: []float32{-1, 1}}
		for row := range w.Rows {
			latent := w.Latent[row*w.Cols:][:w.Cols]
			scale, err := meanAbsolute(w.Name, latent)
			if err != nil {
				return nil, err
			}
			p.Scales = append(p.Scales, scale)
			for i, v := range latent {
				if sign(v) > 0 {
					p.Codes[row*w.Cols+i] = 1
				}
			}
		}
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{p}})
	}
	return frozen, nil
}

// There is no state to initialise, the gradient goes straight through, and latent
// weights are left as they are. The Description has no trait, so these are not called.

func (*bwn) Initialise(context.Context) error                   { return nil }
func (*bwn) Backward(context.Context, quantizer.Backward) error { return nil }
func (*bwn) Project(context.Context) error                      { return nil }

func meanAbsolute(name string, row []float32) (float32, error) {
	sum := 0.0
	for _, v := range row {
		sum += math.Abs(float64(v))
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return 0, fmt.Errorf("the latent weights of %s are not finite: training has diverged, lower the learning rate", name)
	}
	return float32(sum / float64(len(row))), nil
}

func sign(v float32) float32 {
	if v < 0 {
		return -1
	}
	return 1
}
