package mcu

import (
	"testing"

	"bittern/accel/backends/internal/integer"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/stepgraph"
)

// Operations that an LSTM lacks take the cycles of the package comment.
func TestOtherOperations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   stepgraph.Op
		want float64 // of a step on 6 elements, which it gives out
	}{
		{stepgraph.Round, 6 * 20},
		{stepgraph.Normalize, 6*17 + 56},
		{stepgraph.Slice, 0},
		{stepgraph.Concat, 6 * 5},
		{stepgraph.Tanh, 6 * 43},
	} {
		node := stepgraph.Node{Name: "y", Op: c.op, Inputs: []string{"x"}, Size: 6}
		g := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Size: 6}}, Output: "y"}
		switch c.op {
		case stepgraph.Round:
			node.Bits = 3
		case stepgraph.Normalize:
			node.Epsilon = 1e-5
		case stepgraph.Concat:
			g.Inputs[0].Size, node.Inputs = 3, []string{"x", "x"}
		}
		g.Nodes = []stepgraph.Node{node}
		if got := total(t, network.Scanned("test", g), map[string]int{"sequence": 7}); got != 7*c.want {
			t.Errorf("%s: seven steps take %v cycles, want %v", c.op, got, 7*c.want)
		}
	}
}

// Of the attention that the sample programs have, softmax and weighted sum of 6 elements.
func TestAttention(t *testing.T) {
	t.Parallel()
	all := programs.Programs()
	p := all[len(all)-1]
	m := machineOf(t, p.Network, p)
	whole, rest := m.count(p.Steps), counts{}
	for _, s := range p.Network.Stages {
		if s.Op != network.Scan {
			continue
		}
		times := 1
		if stream := p.Network.Along(s); stream != "" {
			times = p.Steps[stream]
		}
		m.step(rest, s.Graph, float64(times))
	}
	if got, want := whole.total()-rest.total(), float64(7*42+14+7*6*11); got < want-1e-6 || got > want+1e-6 {
		t.Errorf("attention over 7 steps takes %v cycles, want %v", got, want)
	}
}

// Of a plane whose whole numbers do not fit into a byte, pairs are kept.
func TestKernels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width, most int
		bytes       bool
		bits        int
		block       float64
	}{
		{1, 1, false, 1, 20.5}, {2, 1, false, 2, 21}, {3, 7, false, 4, 26}, {4, 8, false, 4, 26}, {5, 16, false, 8, 20},
		{8, 127, false, 8, 20}, {8, 128, false, 16, 20}, {1, 1, true, 8, 20}, {8, 255, true, 16, 20},
	} {
		if k := kernelOf(c.width, c.most, c.bytes); k.bits != c.bits || k.block() != c.block {
			t.Errorf("%d bits up to %d: %d bits in flash, %v cycles, want %d, %v", c.width, c.most, k.bits, k.block(), c.bits, c.block)
		}
	}
}

func machineOf(t *testing.T, n network.Network, p programs.Program) *machine {
	t.Helper()
	m, _, err := resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := integer.Compile(n, p.Weights, integer.Precision{Weights: 8, Activations: 8})
	if err == nil {
		err = m.load(compiled, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func total(t *testing.T, n network.Network, steps map[string]int) float64 {
	t.Helper()
	return machineOf(t, n, programs.Program{}).count(steps).total()
}
