package main

import (
	"slices"
	"testing"

	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
)

func TestConformance(t *testing.T) {
	plugintest.Quantizer(t, func() quantizer.Quantizer { return &bwn{} })
}

// By hand: the rows' mean absolute values are 2 and 0.5, and 0 counts as positive.
func TestQuantize(t *testing.T) {
	t.Parallel()
	w := quantizer.Weight{
		Shape:  quantizer.Shape{Name: "w", Rows: 2, Cols: 3},
		Latent: []float32{-1, 2, 3, 0, -1, 0.5}, Quantized: make([]float32, 6),
	}
	q := &bwn{}
	if err := q.Open(t.Context(), nil, []quantizer.Weight{w}); err != nil {
		t.Fatal(err)
	}
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{-2, 2, 2, 0.5, -0.5, 0.5}; !slices.Equal(w.Quantized, want) {
		t.Errorf("Quantize(%v) = %v, want %v", w.Latent, w.Quantized, want)
	}
}
