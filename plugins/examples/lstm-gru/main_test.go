package main

import (
	"testing"

	"bittern/plugins"
	"bittern/plugins/plugintest"
)

// TestConformance holds the model against the contract, with options that make it small.
// The kit compares every gradient with finite differences, and what is exported with what
// Evaluate computes. Want says which tasks the model refuses.
func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Model(t, New,
		plugins.Values{"units": "7"},
		plugins.Values{"units": "5", "normalization": "batch", "dropout": "0.3"},
	).Want(t, "carried", "features", "lengths", "question")
}
