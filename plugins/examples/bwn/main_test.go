package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bittern/plugins/host"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
)

// TestMain lets the host start this binary as the plugin.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "plugin" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Quantizer(t, func() quantizer.Quantizer { return &bwn{} })
}

// TestConformanceAsExternal holds the plugin against the contract as an executable that
// the host finds in the plugin folder.
func TestConformanceAsExternal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec %q plugin\n", self)
	if err := os.WriteFile(filepath.Join(folder, "bittern-quantizer-bwn"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	plugintest.QuantizerProcess(t, catalogue, "bwn")
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
