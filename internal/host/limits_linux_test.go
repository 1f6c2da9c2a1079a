package host_test

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/quantizer"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				t.Skip("the race detector itself takes more memory than any limit")
			}
		}
	}
	q, _ := open(t, "hoards", host.Settings{})
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Errorf("without a limit: Quantize = %v, want nil", err)
	}
	q, _ = open(t, "hoards", host.Settings{Limits: host.Limits{Memory: 512 << 20}})
	err := q.Quantize(t.Context(), quantizer.Draw{})
	// The last words of Go's runtime depend on what it wanted the memory for.
	if failure, ok := errors.AsType[*host.Failure](err); !ok || failure.Reason != host.Crashed || failure.Detail != "exit status 2" {
		t.Errorf("with a limit: Quantize = %v, want a crash with exit status 2", err)
	}
}

func TestProcessorLimit(t *testing.T) {
	t.Parallel()
	q, _ := open(t, "processors", host.Settings{Limits: host.Limits{Processors: 1}})
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err == nil || !strings.Contains(err.Error(), "runs on 1") {
		t.Errorf("Quantize = %v, want that it runs on 1", err)
	}
	// The host itself still has all of its processors.
	q, _ = open(t, "processors", host.Settings{})
	err := q.Quantize(t.Context(), quantizer.Draw{})
	if runtime.NumCPU() > 1 && (err == nil || strings.Contains(err.Error(), "runs on 1")) {
		t.Errorf("without a limit: Quantize = %v, want that it runs on %d", err, runtime.NumCPU())
	}
	_, err = newCatalogue(t, "").Quantizer(t.Context(), "processors", host.Settings{Limits: host.Limits{Processors: 4000}})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "it is to run on 4000 processors, but only") {
		t.Errorf("on 4000 processors: error %v, want a problem", err)
	}
}
