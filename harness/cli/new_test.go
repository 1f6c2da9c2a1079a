package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/examples"
)

// TestNewPluginsWork makes a plugin of each kind outside the source tree, runs the printed
// commands in a shell, and checks that the report has the plugin's row. Nothing is downloaded.
func TestNewPluginsWork(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles and trains for each kind of plugin")
	}
	for _, example := range examples.All {
		id := plugins.ID{Kind: example.Kind, Name: "my-own"}
		t.Run(example.Name, func(t *testing.T) {
			t.Parallel()
			path := os.Getenv("PATH")
			if example.Language == examples.Python {
				var found bool
				if path, found = pythonPath(); !found {
					t.Skip(noPython)
				}
			}
			folder := filepath.Join(t.TempDir(), "my plugins")
			stdout, stderr, code := run(t, nil, "plugins", "new", string(id.Kind), id.Name, "--lang", string(example.Language), "--dir", folder)
			if code != 0 {
				t.Fatalf("plugins new: exit code %d, %s", code, stderr)
			}
			script := "set -e\n"
			for line := range strings.Lines(stdout) {
				if command, ok := strings.CutPrefix(line, "  "); ok {
					script += command
				}
			}
			if n := strings.Count(script, "\n"); n != 4 {
				t.Fatalf("%d commands are printed, want 3:\n%s", n-1, stdout)
			}
			c := exec.Command("sh", "-c", script)
			c.Dir = t.TempDir()
			c.Env = append(os.Environ(), "PATH="+path, "GOPROXY=off", "BITTERN_STEPS=3", "BITTERN_THREADS=1", "BITTERN_FORMAT=json")
			output, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", script, err, output)
			}
			if !strings.Contains(string(output), `"my-own"`) {
				t.Errorf("the report has no row of %s:\n%s", id.Name, output)
			}
		})
	}
}

const noPython = "the Python plugin is not tried: no python3 with grpcio, protobuf, cryptography and numpy"

// pythonPath returns a PATH whose python3 has the modules that the example needs; found is false
// if there is none.
func pythonPath() (path string, found bool) {
	path = os.Getenv("PATH")
	for _, path := range []string{path, "/usr/bin" + string(filepath.ListSeparator) + path} {
		c := exec.Command("sh", "-c", `python3 -c "import grpc, google.protobuf, cryptography, numpy"`)
		c.Env = append(os.Environ(), "PATH="+path)
		if c.Run() == nil {
			return path, true
		}
	}
	return path, false
}
