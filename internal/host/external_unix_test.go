//go:build unix

package host_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bittern/internal/host"
	"bittern/internal/testexec"
	"bittern/plugins"
)

// script returns a catalogue of one external quantizer, which is a shell script of these
// commands.
func script(t *testing.T, name, commands string) *host.Catalogue {
	t.Helper()
	folder := t.TempDir()
	testexec.Write(t, filepath.Join(folder, "bittern-quantizer-"+name), []byte("#!/bin/sh\n"+commands))
	catalogue, err := host.NewCatalogue(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	return catalogue
}

// TestEnvironment checks that an external plugin gets the few variables that all get, those that
// its settings name, and no others.
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

// TestOutputOfAStart checks that the message about a plugin which does not start has its last
// lines, and that the output has all of them.
func TestOutputOfAStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		commands string
		call     host.Reason // empty if it is a problem
		message  []string
		output   []string
	}{
		"exits": {
			"echo loading the weights >&2\necho 'no licence \033[31mfound' >&2\nexit 3", host.Crashed,
			[]string{"quantizer/talks crashed during start: exit status 3;", "loading the weights / no licence", "found"},
			[]string{"loading the weights\n", "no licence \033[31mfound\n"},
		},
		"prints-first": {
			"echo a warning >&2\necho welcome\necho to the plugin\nsleep 60", "",
			[]string{`is no bittern plugin: it printed "welcome" in place of the handshake`},
			[]string{"a warning\n", "welcome\n"},
		},
		"prints-and-exits": {
			"echo welcome\nexit 3", "",
			[]string{`it printed "welcome" in place of the handshake`},
			[]string{"welcome\n"},
		},
		"hangs": {
			"echo waiting for a licence >&2\nexec sleep 60", host.Deadline,
			[]string{"quantizer/talks was killed during start: no handshake within " + patience.String(), `its last words: "waiting for a licence"`},
			[]string{"waiting for a licence\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var output lockedBuffer
			settings := host.Settings{Output: &output}
			if test.call == host.Deadline {
				settings.Start = patience
			}
			_, err := script(t, "talks", test.commands).Quantizer(t.Context(), "talks", settings)
			failure, _ := errors.AsType[*host.Failure](err)
			_, mend := errors.AsType[*plugins.Problem](err)
			if test.call == "" && !mend || test.call != "" && (failure == nil || failure.Reason != test.call) {
				t.Fatalf("error %#v, want a problem or, if one is named, the failure %q", err, test.call)
			}
			for _, want := range test.message {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message %q lacks %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\033") {
				t.Errorf("the message %q is no plain line", err)
			}
			for _, want := range test.output {
				if !strings.Contains(output.String(), want) {
					t.Errorf("the output %q lacks %q", output.String(), want)
				}
			}
		})
	}
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
