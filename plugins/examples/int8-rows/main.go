// Command int8-rows is a quantizer plugin for Bittern: it rounds weights to 8 bits,
// symmetric about zero, with a scale for each row or for the whole matrix (the symmetric
// quantizers, by channel and by layer, of Krishnamoorthi 2018, arXiv 1806.08342):
//
//	quantized = scale · round(w/scale),  scale = max|w|/127 over the row or matrix
package main

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

// Bittern starts the plugin as a process; ServeQuantizer speaks with it.
func main() { sdk.ServeQuantizer(New()) }

// New returns the quantizer.
func New() quantizer.Quantizer { return &rounding{} }

// rounding is the quantizer. The Base that it embeds keeps the options and the weights of
// a session and answers the calls that this quantizer does not need.
type rounding struct{ quantizer.Base }

// Describe says what the plugin is. Bittern shows it to users and checks their options
// against it, so that Base.Options has every option, within its bounds.
func (*rounding) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindQuantizer, Name: "int8-rows", Version: "1.0.0", API: plugins.APIVersion,
		Summary: "weights rounded to 8 bits, with a scale for each row or matrix (Krishnamoorthi 2018)",
		Options: []plugins.Option{{
			Name: "scale", Type: plugins.String, Default: "row", Choices: []string{"row", "matrix"},
			Doc: "row: a scale for each row of a matrix; matrix: one for all of them",
		}},
		Facts: []plugins.Fact{{Name: "bits per weight", Value: "8"}},
		// A quantizer that changes the gradient, clips latent weights or learns something
		// has traits here, and the method of each:
		//
		//	Traits: []string{quantizer.TraitBackward, quantizer.TraitProject, quantizer.TraitInitialise},
	}, nil
}

// Quantize writes the quantized weights. Bittern calls it before every training step. A
// quantizer that draws random numbers takes them from the draw and the weight's name, so
// that training repeats.
func (q *rounding) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.Weights {
		size := q.groupSize(w)
		for from := 0; from < len(w.Latent); from += size {
			latent := w.Latent[from:][:size]
			scale, err := scaleOf(w, latent)
			if err != nil {
				return err
			}
			for i, v := range latent {
				w.Quantized[from+i] = scale * float32(integer(v, scale))
			}
		}
	}
	return nil
}

// Freeze returns the weights as they are deployed: a code for each, the level that each
// code stands for, and the scales that the levels are multiples of. Decoded they are what
// Quantize writes, bit for bit.
func (q *rounding) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var levels []float32 // of the codes 0 … 254
	for level := -largest; level <= largest; level++ {
		levels = append(levels, float32(level))
	}
	var frozen []quantizer.Frozen
	for _, w := range q.Weights {
		p := quantizer.Plane{Bits: 8, Codes: make([]uint16, len(w.Latent)), Levels: levels}
		size := q.groupSize(w)
		for from := 0; from < len(w.Latent); from += size {
			latent := w.Latent[from:][:size]
			scale, err := scaleOf(w, latent)
			if err != nil {
				return nil, err
			}
			p.Scales = append(p.Scales, scale)
			for i, v := range latent {
				p.Codes[from+i] = uint16(integer(v, scale) + largest)
			}
		}
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{p}})
	}
	return frozen, nil
}

// groupSize is how many weights, one after another, have a scale in common.
func (q *rounding) groupSize(w quantizer.Weight) int {
	if q.Options.Text("scale") == "matrix" {
		return w.Rows * w.Cols
	}
	return w.Cols
}

// largest is the integer that the largest weight is rounded to.
const largest = 127

// scaleOf is the scale of some weights of w. An error says what went wrong, and what to do
// about it: it ends the experiment, and the others of the suite go on.
func scaleOf(w quantizer.Weight, latent []float32) (float32, error) {
	size := 0.0
	for _, v := range latent {
		size = max(size, math.Abs(float64(v))) // NaN if one is NaN
	}
	switch scale := float32(size / largest); {
	case math.IsNaN(size) || math.IsInf(size, 0):
		return 0, fmt.Errorf("the latent weights of %s are not finite: training has diverged, lower the learning rate", w.Name)
	case scale == 0:
		return 0, fmt.Errorf("a row of the latent weights of %s is all zero, so it has no scale: check how the model initialises it", w.Name)
	default:
		return scale, nil
	}
}

// integer is round(v/scale), between −127 and 127.
func integer(v, scale float32) int {
	return int(max(-largest, min(largest, math.RoundToEven(float64(v)/float64(scale)))))
}
