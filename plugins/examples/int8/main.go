// Command int8 is a whole quantizer plugin: weights rounded to 8 bits, symmetric about
// zero, with a scale for each row (the symmetric quantizer, by channel, of Krishnamoorthi
// 2018, arXiv 1806.08342). A weight w of a row becomes
//
//	scale · round(w/scale),  scale = max|w|/127 over the row
//
// Build it as bittern-quantizer-int8 into the plugin folder. An author outside this tree
// does the same in a module of their own, whose go.mod requires bittern and replaces it by
// a checkout.
package main

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

func main() { sdk.ServeQuantizer(&int8Rows{}) }

// largest is the code that the largest weight of a row gets.
const largest = 127

type int8Rows struct{ weights []quantizer.Weight }

func (*int8Rows) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindQuantizer, Name: "int8", Version: "1.0.0", API: plugins.APIVersion,
		Summary: "weights rounded to 8 bits, with a scale for each row (Krishnamoorthi 2018)",
		Facts:   []plugins.Fact{{Name: "bits per weight", Value: "8"}},
	}, nil
}

func (*int8Rows) Plan(context.Context, plugins.Values, []quantizer.Shape) ([]quantizer.State, error) {
	return nil, nil // no learned scales
}

func (q *int8Rows) Open(_ context.Context, _ plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return nil
}

func (q *int8Rows) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.weights {
		for row := range w.Rows {
			latent, quantized := w.Latent[row*w.Cols:][:w.Cols], w.Quantized[row*w.Cols:][:w.Cols]
			scale, err := scaleOf(w.Name, row, latent)
			if err != nil {
				return err
			}
			for i, v := range latent {
				quantized[i] = scale * float32(integer(v, scale))
			}
		}
	}
	return nil
}

func (q *int8Rows) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var levels []float32 // of the codes 0 … 254, as multiples of a row's scale
	for level := -largest; level <= largest; level++ {
		levels = append(levels, float32(level))
	}
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		p := quantizer.Plane{Bits: 8, Codes: make([]uint16, len(w.Latent)), Levels: levels}
		for row := range w.Rows {
			latent := w.Latent[row*w.Cols:][:w.Cols]
			scale, err := scaleOf(w.Name, row, latent)
			if err != nil {
				return nil, err
			}
			p.Scales = append(p.Scales, scale)
			for i, v := range latent {
				p.Codes[row*w.Cols+i] = uint16(integer(v, scale) + largest)
			}
		}
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{p}})
	}
	return frozen, nil
}

// There is no state to initialise, the gradient goes straight through, and latent
// weights are left as they are. The Description has no trait, so these are not called.

func (*int8Rows) Initialise(context.Context) error                   { return nil }
func (*int8Rows) Backward(context.Context, quantizer.Backward) error { return nil }
func (*int8Rows) Project(context.Context) error                      { return nil }

func scaleOf(name string, row int, latent []float32) (float32, error) {
	size := 0.0
	for _, v := range latent {
		size = max(size, math.Abs(float64(v))) // NaN where one is NaN
	}
	switch scale := float32(size / largest); {
	case math.IsNaN(size) || math.IsInf(size, 0):
		return 0, fmt.Errorf("the latent weights of %s are not finite: training has diverged, lower the learning rate", name)
	case scale == 0:
		return 0, fmt.Errorf("row %d of the latent weights of %s is all zero, so there is no scale for it: check how the model initialises it", row, name)
	default:
		return scale, nil
	}
}

// integer is round(v/scale), between −127 and 127.
func integer(v, scale float32) int {
	return int(max(-largest, min(largest, math.RoundToEven(float64(v)/float64(scale)))))
}
