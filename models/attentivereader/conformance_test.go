package attentivereader_test

import (
	"testing"

	"bittern/models/attentivereader"
	"bittern/plugins"
	"bittern/plugins/plugintest"
)

var options = []plugins.Values{
	{"units": "13", "embedding": "5"},
	{"units": "9", "embedding": "7", "normalization": "none", "dropout": "0.3"},
	{"units": "9", "embedding": "7", "normalization": "layer", "cell": "gru"},
	{"units": "9", "embedding": "7", "normalization": "layer", "hidden-bits": "2"},
}

func TestConformance(t *testing.T) { plugintest.Model(t, attentivereader.New, options...) }
