package asic_test

import (
	"errors"
	"iter"
	"os/exec"
	"testing"

	"bittern/accel/backends/asic"
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

// The machine in SystemVerilog computes the bits of the simulator, in its cycles: of
// recurrent layers of all kinds that the datapath has, in several weight formats.
func TestRTLIsTheSimulator(t *testing.T) {
	needs(t, "verilator")
	t.Parallel()
	for _, p := range programs.Programs() {
		b := asic.New(tiny)
		_, err := b.Deploy(t.Context(), backend.Deploy{Network: p.Network, Weights: p.Weights})
		if unsupported := new(*backend.ErrUnsupported); errors.As(err, unsupported) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			got, err := b.(backend.RTL).CheckRTL(t.Context(), batchesOf(p.Batch(5, 0), p.Batch(5, 1)), 7)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(got)
			if !got.Same() || got.Windows < 2 || got.Bits == 0 {
				t.Error(got)
			}
		})
	}
}
