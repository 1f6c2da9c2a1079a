package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostVariable is an environment variable that names a plugin. The test binary is then a host
// that starts this plugin and waits to be killed.
const hostVariable = "BITTERN_TEST_HOST"

// TestMain lets the test binary serve the plugins that the tests start. It is run as `<this
// executable> plugin <kind>/<name>` for a built-in plugin, and through a link named
// bittern-<kind>-<name> for an external one.
func TestMain(m *testing.M) {
	if id := os.Getenv(hostVariable); id != "" && os.Getenv("BITTERN_PLUGIN") == "" {
		waitToBeKilled(id)
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "plugin" {
		served[os.Args[2]]()
		return
	}
	if _, name, ok := strings.Cut(filepath.Base(os.Args[0]), "bittern-quantizer-"); ok {
		served["quantizer/"+strings.TrimSuffix(name, ".exe")]()
		return
	}
	// Under the race detector every plugin would take a second longer to exit without this.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	// TestEnvironment looks for these.
	for _, name := range []string{"A_SECRET", "ASKED_FOR", "LC_TEST"} {
		if err := os.Setenv(name, "value of "+name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
