package examples_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bittern/internal/conformance/checktest"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
	"bittern/internal/testexec"
	"bittern/plugins"
)

// interpreter finds a Python that has what the example needs.
func interpreter(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import grpc, google.protobuf, cryptography, numpy").Run() == nil {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Skip("the Python plugin is not tried: no python3 with grpcio, protobuf, cryptography and numpy")
	return ""
}

// TestPythonConformance holds the Python plugin against the contract, as an external
// executable that the host finds in the plugin folder.
func TestPythonConformance(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec %q -B %q\n", python, filepath.Join(here, "twn-python", "bittern-quantizer-twn-python"))
	testexec.Write(t, filepath.Join(folder, "bittern-quantizer-twn-python"), []byte(script))
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	checktest.Run(t, &checktest.Refusals{}, process.Groups(catalogue, plugins.ID{Kind: plugins.KindQuantizer, Name: "twn-python"}))
}

// A plugin whose Python lacks a module says in one line which, and where it comes from.
func TestPythonMissesAModule(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	// With -S it sees the standard library alone.
	output, err := exec.Command(python, "-B", "-S", filepath.Join("twn-python", "bittern-quantizer-twn-python")).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Errorf("it ended with %v, want it to fail", err)
	}
	if lines := strings.Split(strings.TrimSpace(string(output)), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "has no module grpc") || !strings.Contains(lines[0], "requirements.txt") {
		t.Errorf("it says %q, want one line that names the module grpc and requirements.txt", output)
	}
}
