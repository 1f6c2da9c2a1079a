package attentivereader_test

import (
	"os"
	"testing"

	"bittern/models/attentivereader"
	"bittern/plugins"
	"bittern/plugins/host"
	"bittern/plugins/plugintest"
	"bittern/plugins/sdk"
)

// TestMain lets the host start this binary as the plugin.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		sdk.ServeModel(attentivereader.New())
		return
	}
	os.Exit(m.Run())
}

var options = []plugins.Values{
	{"units": "13", "embedding": "5"},
	{"units": "9", "embedding": "7", "normalization": "none", "dropout": "0.3"},
	{"units": "9", "embedding": "7", "normalization": "layer", "cell": "gru"},
}

func TestConformance(t *testing.T) { plugintest.Model(t, attentivereader.New, options...) }

func TestConformanceInItsOwnProcess(t *testing.T) {
	catalogue, err := host.NewCatalogue([]plugins.ID{{Kind: plugins.KindModel, Name: "attentive-reader"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	plugintest.ModelProcess(t, catalogue, "attentive-reader", options...)
}
