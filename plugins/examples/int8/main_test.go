package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	plugintest.Quantizer(t, func() quantizer.Quantizer { return &int8Rows{} })
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
	if err := os.WriteFile(filepath.Join(folder, "bittern-quantizer-int8"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	plugintest.QuantizerProcess(t, catalogue, "int8")
}

// By hand: the rows' scales are 2 and 0.5. A half is rounded to the even integer, and
// what is frozen is what is trained.
func TestQuantize(t *testing.T) {
	t.Parallel()
	w := quantizer.Weight{
		Shape:  quantizer.Shape{Name: "w", Rows: 2, Cols: 3},
		Latent: []float32{-254, 3, 2.9, 0, 63.5, -0.8}, Quantized: make([]float32, 6),
	}
	q := &int8Rows{}
	if err := q.Open(t.Context(), nil, []quantizer.Weight{w}); err != nil {
		t.Fatal(err)
	}
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{-254, 4, 2, 0, 63.5, -1}; !slices.Equal(w.Quantized, want) {
		t.Errorf("Quantize(%v) = %v, want %v", w.Latent, w.Quantized, want)
	}
	frozen, err := q.Freeze(t.Context(), quantizer.Draw{})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := frozen[0].Pack(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := packed.Decode(); !slices.Equal(got, w.Quantized) {
		t.Errorf("the frozen weights are %v, want %v", got, w.Quantized)
	}
	clear(w.Latent[3:])
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err == nil || !strings.Contains(err.Error(), "row 1") {
		t.Errorf("Quantize of a row of zeros: error %v, want one that names row 1", err)
	}
}
