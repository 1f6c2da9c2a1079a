package null_test

import (
	"testing"

	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/plugintest"
)

func TestQuantizerConformance(t *testing.T) { plugintest.Quantizer(t, null.NewQuantizer) }

func TestModelConformance(t *testing.T) {
	plugintest.Model(t, null.NewModel, plugins.Values{"units": "3"})
}

func TestBackendConformance(t *testing.T) { plugintest.Backend(t, null.NewBackend) }
