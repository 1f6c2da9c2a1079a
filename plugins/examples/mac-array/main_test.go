package main

import (
	"testing"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/plugintest"
	"bittern/plugins/stepgraph"
)

// TestConformance deploys every kind of network that Bittern has, and holds the backend
// against the contract. Want says which of them it refuses: none.
func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Backend(t, New).Want(t)
}

// TestCost has its numbers by hand: a 2×3 matrix is 6 multiply-accumulates, on 4 units 2
// cycles, and five steps are 10 of those.
func TestCost(t *testing.T) {
	t.Parallel()
	matrix, err := packed.FromValues(make([]float32, 6), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	b := New()
	_, err = b.Deploy(t.Context(), backend.Deploy{
		Options: plugins.Values{"units": "4", "megahertz": "100"},
		Weights: map[string]packed.Matrix{"W": matrix},
		Network: network.Scanned("linear", stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Size: 3}},
			Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 2, Weight: "W"}},
			Output: "y",
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	cost, err := b.Cost(t.Context(), backend.CostRequest{Steps: map[string]int{"sequence": 5}})
	if err != nil {
		t.Fatal(err)
	}
	if *cost.Cycles != 10 || *cost.Seconds != 10/100e6 {
		t.Errorf("the cost is %v cycles and %v s, want 10 cycles and 0.1 µs", *cost.Cycles, *cost.Seconds)
	}
	if got, want := cost.Energy[0].Value, 30*joulesPerMAC; got != want {
		t.Errorf("the energy is %v J, want %v", got, want)
	}
}
