package gru_test

import (
	"testing"

	"bittern/models/gru"
	"bittern/plugins"
	"bittern/plugins/plugintest"
)

var options = []plugins.Values{
	{"units": "13"},
	{"units": "9", "normalization": "none"},
	{"units": "9", "normalization": "batch-shared"},
	{"units": "9", "normalization": "layer"},
	{"units": "9", "normalization": "weight"},
	{"units": "17", "layers": "2", "dropout": "0.3"},
	{"units": "9", "reset": "before"},
	{"units": "9", "reset": "before", "normalization": "layer"},
	{"units": "9", "hidden-bits": "2", "normalization": "layer"},
}

// Some tasks are refused with these: those of features, and those with a target at
// each step.
var (
	embedded   = plugins.Values{"units": "9", "embedding": "5"}
	directions = plugins.Values{"units": "9", "bidirectional": "true"}
)

func TestConformance(t *testing.T) {
	plugintest.Model(t, gru.New, options...).Want(t, "question")
	t.Run("embedded", func(t *testing.T) {
		plugintest.Model(t, gru.New, embedded).Want(t, "question", "features")
	})
	t.Run("both directions", func(t *testing.T) {
		plugintest.Model(t, gru.New, directions).Want(t, "question", "steps", "carried")
	})
}
