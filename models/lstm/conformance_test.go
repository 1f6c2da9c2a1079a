package lstm_test

import (
	"os"
	"testing"

	"bittern/models/lstm"
	"bittern/plugins"
	"bittern/plugins/host"
	"bittern/plugins/plugintest"
	"bittern/plugins/sdk"
)

// TestMain lets the host start this binary as the plugin.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		sdk.ServeModel(lstm.New())
		return
	}
	os.Exit(m.Run())
}

var options = []plugins.Values{
	{"units": "13"},
	{"units": "9", "normalization": "none"},
	{"units": "9", "normalization": "batch-shared"},
	{"units": "9", "normalization": "layer"},
	{"units": "9", "normalization": "weight"},
	{"units": "17", "layers": "2", "dropout": "0.3"},
	{"units": "9", "embedding": "5"},
	{"units": "9", "normalize-cell": "false"},
}

func TestConformance(t *testing.T) { plugintest.Model(t, lstm.New, options...) }

func TestConformanceInItsOwnProcess(t *testing.T) {
	catalogue, err := host.NewCatalogue([]plugins.ID{{Kind: plugins.KindModel, Name: "lstm"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	plugintest.ModelProcess(t, catalogue, "lstm", options...)
}
