package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostVariable makes the test binary a host that waits to be killed, with the
// plugin named in it.
const hostVariable = "BITTERN_TEST_HOST"

// TestMain lets the test binary be the plugins that the tests start: a built-in
// is run as `<this executable> plugin <kind>/<name>`, an external one as
// bittern-<kind>-<name>, which is then a link to this executable.
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
	// Under the race detector every plugin would take a second longer to exit.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	// What TestEnvironment looks for.
	for _, name := range []string{"A_SECRET", "ASKED_FOR", "LC_TEST"} {
		if err := os.Setenv(name, "value of "+name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
