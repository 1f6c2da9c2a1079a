//go:build unix

package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bittern/internal/host"
	"bittern/plugins"
)

// script makes the catalogue of one external quantizer, a shell script.
func script(t *testing.T, name, commands string) *host.Catalogue {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "bittern-quantizer-"+name), []byte("#!/bin/sh\n"+commands), 0o700); err != nil {
		t.Fatal(err)
	}
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	return catalogue
}

// TestEnvironment sees that an external plugin gets a short list of variables
// and what is named besides.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	catalogue := script(t, "env", "env | sort >&2\nexit 1\n")
	_, err := catalogue.Quantizer(t.Context(), "env", host.Settings{Environment: []string{"ASKED_FOR", "NOT_SET"}})
	failure, ok := errors.AsType[*host.Failure](err)
	if !ok {
		t.Fatalf("error %v, want a *host.Failure", err)
	}
	seen := "\n" + failure.Stderr
	for _, want := range []string{"\nPATH=", "\nLC_TEST=value of LC_TEST", "\nASKED_FOR=value of ASKED_FOR", "\nBITTERN_ARENA_FOLDER=", "\nPLUGIN_UNIX_SOCKET_DIR="} {
		if !strings.Contains(seen, want) {
			t.Errorf("the plugin does not see %q among%s", want[1:], seen)
		}
	}
	for _, unwanted := range []string{"A_SECRET", "GORACE", "NOT_SET"} {
		if strings.Contains(seen, "\n"+unwanted) {
			t.Errorf("the plugin sees %s among%s", unwanted, seen)
		}
	}
}

func TestLastWordsOfAStart(t *testing.T) {
	t.Parallel()
	catalogue := script(t, "python", `printf 'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\n    import torch\nModuleNotFoundError: No module named torch\n' >&2; exit 1`)
	_, err := catalogue.Describe(t.Context(), plugins.ID{Kind: plugins.KindQuantizer, Name: "python"}, host.Settings{})
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.Contains(problem.Sentence, "crashed during start: exit status 1;") || !strings.Contains(problem.Sentence, "ModuleNotFoundError: No module named torch") {
		t.Errorf("Describe = %v, want a problem with the plugin's last words", err)
	}
	if strings.Count(problem.Sentence, "ModuleNotFoundError") != 1 {
		t.Errorf("the problem says it more than once: %s", problem.Sentence)
	}
}
