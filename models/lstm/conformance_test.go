package lstm_test

import (
	"testing"

	"bittern/models/lstm"
	"bittern/plugins"
	"bittern/plugins/plugintest"
)

func TestConformance(t *testing.T) {
	plugintest.Model(t, lstm.New,
		plugins.Values{"units": "13"},
		plugins.Values{"units": "9", "normalization": "none"},
		plugins.Values{"units": "9", "normalization": "batch-shared"},
		plugins.Values{"units": "17", "layers": "2", "dropout": "0.3"},
		plugins.Values{"units": "9", "embedding": "5"})
}
