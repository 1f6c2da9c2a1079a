package host_test

import (
	"os"
	"testing"

	"bittern/plugins/null"
	"bittern/plugins/sdk"
)

// TestMain lets the test binary be the plugins that the tests start: the host
// runs a built-in as `<this executable> plugin <kind>/<name>`.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "plugin" {
		serve(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

func serve(id string) {
	switch id {
	case "quantizer/null":
		sdk.ServeQuantizer(null.NewQuantizer())
	case "model/null":
		sdk.ServeModel(null.NewModel())
	case "backend/null":
		sdk.ServeBackend(null.NewBackend())
	}
}
