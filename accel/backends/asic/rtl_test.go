package asic_test

import (
	"errors"
	"iter"
	"os/exec"
	"testing"

	"bittern/accel/backends/asic"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
)

// needs skips a test where a tool is missing.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("there is no %s on this machine (on Debian: apt-get install %s)", tool, tool)
	}
}

func batchesOf(all ...network.Batch) iter.Seq2[network.Batch, error] {
	return func(yield func(network.Batch, error) bool) {
		for _, b := range all {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// The machine in SystemVerilog takes the cycles of the cost and gives the bits that are
// executed, of as many sequences as are asked for.
func TestRTLIsTheSimulator(t *testing.T) {
	needs(t, "verilator")
	needs(t, "g++")
	t.Parallel()
	for _, p := range programs.Programs() {
		if p.Name != "bidirectional" { // GRUs in several graphs; package rtl has the bits of all
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			b := asic.New()
			if _, err := b.Deploy(t.Context(), backend.Deploy{Options: plugins.Values{"design": tiny}, Network: p.Network, Weights: p.Weights}); err != nil {
				t.Fatal(err)
			}
			const windows = 4
			got, err := b.(backend.RTL).CheckRTL(t.Context(), batchesOf(p.Batch(3, 0), p.Batch(3, 1)), windows)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Same() || got.Windows != windows || got.Bits == 0 || got.Cycles == 0 {
				t.Error(got)
			}
		})
	}
}

func TestRTLRefuses(t *testing.T) {
	t.Parallel()
	b := asic.New()
	if _, err := b.(backend.RTL).CheckRTL(t.Context(), batchesOf(), 1); err == nil {
		t.Error("a check with nothing deployed is no error")
	}
	p := programs.Programs()[0]
	if _, err := b.Deploy(t.Context(), backend.Deploy{Options: plugins.Values{"design": tiny}, Network: p.Network, Weights: p.Weights}); err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]func() (backend.RTLCheck, error){
		"no windows": func() (backend.RTLCheck, error) {
			return b.(backend.RTL).CheckRTL(t.Context(), batchesOf(p.Batch(3, 0)), 0)
		},
		"no batches": func() (backend.RTLCheck, error) { return b.(backend.RTL).CheckRTL(t.Context(), batchesOf(), 1) },
	} {
		if _, err := check(); !errors.As(err, new(*plugins.Problem)) {
			t.Errorf("%s: %v is no problem of the user's", name, err)
		}
	}
}
