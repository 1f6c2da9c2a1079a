package host_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// TestATruncatedArenaIsTheFailureOfItsPlugin would die of SIGBUS if the harness touched tensors
// without a guard.
func TestATruncatedArenaIsTheFailureOfItsPlugin(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/maps"); err != nil {
		t.Skip("the plugin finds its arena in /proc/self/maps, which is not there")
	}
	q, _ := open(t, "truncates", host.Settings{})
	err := q.Quantize(t.Context(), quantizer.Draw{})
	failure, ok := errors.AsType[*host.Failure](err)
	if !ok || failure.Reason != host.Nonsense || failure.Call != "Quantize" || failure.Detail != arena.ErrTruncated.Error() {
		t.Fatalf("Quantize = %v, want the nonsense that the file was cut short", err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if got, want := q.Stderr(), "on the way to truncates\n\\x1b[31mall\\tgone"; got != want {
		t.Errorf("Stderr = %q, want %q", got, want)
	}
}

// TestMessagesAreBoundedLines checks that whatever a plugin says comes to the terminal as one
// printable line of bounded length, and that the log has all of it.
func TestMessagesAreBoundedLines(t *testing.T) {
	t.Parallel()
	const shown = `line one\nline two\x1b[2J`
	bounded := func(what, text string) {
		t.Helper()
		if !strings.Contains(text, shown) || strings.ContainsAny(text, "\n\x1b") || len(text) > 1200 || !strings.HasSuffix(text, " more bytes)") {
			t.Errorf("%s = %d bytes, %.100q, want one bounded line with the beginning of what was said", what, len(text), text)
		}
	}
	var log safeBuilder
	q, _ := open(t, "noisy", host.Settings{Output: &log})
	if got := q.Description().Version; got != `1\n2` {
		t.Errorf("Version = %q, want it escaped", got)
	}
	if got := q.Description().Summary; len(got) > 1200 || !strings.HasPrefix(got, shown) {
		t.Errorf("Summary = %d bytes, %.100q, want one bounded line", len(got), got)
	}
	err := q.Quantize(t.Context(), quantizer.Draw{})
	failure, ok := errors.AsType[*host.Failure](err)
	if !ok || failure.Reason != host.Fault {
		t.Fatalf("Quantize = %v, want a fault", err)
	}
	bounded("the fault", err.Error())
	if got := log.String(); !strings.Contains(got, strings.Repeat("!", 100_000)) {
		t.Errorf("the log has %d bytes, want all that the plugin said", len(got))
	}

	q, _ = open(t, "noisy-problem", host.Settings{})
	err = q.Quantize(t.Context(), quantizer.Draw{})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok {
		t.Errorf("Quantize = %v, want a problem", err)
	} else {
		bounded("the problem", problem.Sentence)
	}
}
