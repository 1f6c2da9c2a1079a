package examples_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bittern/internal/conformance/checktest"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
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

// TestConformance holds the Python plugin against the contract, as an external
// executable that the host finds in the plugin folder.
func TestConformance(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec %q -B %q\n", python, filepath.Join(here, "bittern-quantizer-twn-python"))
	if err := os.WriteFile(filepath.Join(folder, "bittern-quantizer-twn-python"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	checktest.Run(t, &checktest.Refusals{}, process.Groups(catalogue, plugins.ID{Kind: plugins.KindQuantizer, Name: "twn-python"}))
}
