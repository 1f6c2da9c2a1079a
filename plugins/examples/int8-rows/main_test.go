package main

import (
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
)

// TestConformance holds the quantizer against the contract, with its default options and
// with those given.
func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Quantizer(t, New, plugins.Values{"scale": "matrix"})
}

// TestQuantize has its numbers by hand: the rows' scales are 2 and 0.5, and halves are
// rounded to the even integer.
func TestQuantize(t *testing.T) {
	t.Parallel()
	w := quantizer.Weight{
		Shape:  quantizer.Shape{Name: "w", Rows: 2, Cols: 3},
		Latent: []float32{-254, 3, 2.9, 0, 63.5, -0.8}, Quantized: make([]float32, 6),
	}
	q := New()
	if err := q.Open(t.Context(), plugins.Values{"scale": "row"}, []quantizer.Weight{w}); err != nil {
		t.Fatal(err)
	}
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{-254, 4, 2, 0, 63.5, -1}; !slices.Equal(w.Quantized, want) {
		t.Errorf("Quantize(%v) = %v, want %v", w.Latent, w.Quantized, want)
	}
	clear(w.Latent[3:])
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err == nil || !strings.Contains(err.Error(), "all zero") {
		t.Errorf("Quantize of a row of zeros: error %v, want one that says so", err)
	}
}
