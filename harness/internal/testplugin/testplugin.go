// Package testplugin has plugins for the harness's tests. With them an experiment takes a
// moment, and still it learns. They can fail on demand.
//
// The test binary serves them to itself: its TestMain calls [Main].
package testplugin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

// IDs are the plugins of this package.
var IDs = []plugins.ID{
	{Kind: plugins.KindModel, Name: "bigram"},
	{Kind: plugins.KindQuantizer, Name: "coin"},
	{Kind: plugins.KindQuantizer, Name: "curved"},
	{Kind: plugins.KindBackend, Name: "oracle"},
	{Kind: plugins.KindBackend, Name: "mute"},
}

// Main serves a plugin if the test binary was started to do that, and runs the tests otherwise.
func Main(m *testing.M) {
	Serve(os.Args)
	os.Exit(m.Run())
}

// Serve serves the plugin that the arguments ask for, and then does not return. If they ask for
// none, it returns at once.
func Serve(args []string) {
	id := ""
	if len(args) == 3 && args[1] == "plugin" {
		id = args[2]
	} else if kindName, ok := strings.CutPrefix(filepath.Base(args[0]), "bittern-"); ok {
		id = strings.Replace(kindName, "-", "/", 1)
	} else {
		return
	}
	switch implementation := implement(id).(type) {
	case model.Model:
		sdk.ServeModel(implementation)
	case quantizer.Quantizer:
		sdk.ServeQuantizer(implementation)
	case backend.Backend:
		sdk.ServeBackend(implementation)
	default:
		fmt.Fprintln(os.Stderr, "no such test plugin:", id)
		os.Exit(2)
	}
	os.Exit(0)
}

// Describe returns the description of a plugin of this package.
func Describe(ctx context.Context, id plugins.ID) (plugins.Description, error) {
	implementation := implement(id.String())
	if implementation == nil {
		return plugins.Description{}, fmt.Errorf("no such test plugin: %s", id)
	}
	return implementation.Describe(ctx)
}

type describer interface {
	Describe(context.Context) (plugins.Description, error)
}

// implement returns the plugin "kind/name", or nil if there is none.
func implement(id string) describer {
	switch id {
	case "model/bigram":
		return &bigram{}
	case "quantizer/coin":
		return &coin{}
	case "quantizer/curved":
		return &curved{}
	case "backend/oracle":
		return &oracle{}
	case "backend/mute":
		return &mute{}
	}
	return nil
}

// faults are the options that make a plugin fail.
func faults(kinds ...string) []plugins.Option {
	return []plugins.Option{
		{Name: "fault", Type: plugins.String, Default: "none", Choices: append([]string{"none"}, kinds...), Doc: "how to fail"},
		{Name: "at", Type: plugins.Int, Default: "0", Max: 1 << 30, Doc: "the call to fail in, counted by the step"},
		{Name: "marker", Type: plugins.String, Doc: "a file that is made by the first failure and forestalls others; empty = fail always"},
	}
}

// stdout is the file that plugins in other languages print to. While a plugin is served,
// os.Stdout is another file.
var stdout = os.Stdout

// fault is how a plugin fails, from its options.
type fault struct {
	kind   string
	at     uint64
	marker string
}

func newFault(options plugins.Values) fault {
	return fault{kind: options.Text("fault"), at: uint64(options.Int("at")), marker: options.Text("marker")}
}

// strike fails at step number step, if the options say so. It returns true if the caller must
// answer nonsense.
func (f fault) strike(step uint64) (nonsense bool) {
	if f.kind == "none" || step != f.at {
		return false
	}
	if f.marker != "" {
		file, err := os.OpenFile(f.marker, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return false
		}
		file.Close()
	}
	fmt.Fprintln(stdout, "it says so to stdout too")
	fmt.Fprintf(os.Stderr, "the test plugin fails in step %d: %s\n", step, f.kind)
	switch f.kind {
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(err)
		}
		select {}
	case "exit":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "panic":
		panic("on demand")
	}
	return true
}

// truncateArenas cuts short every arena that this process has mapped.
func truncateArenas() error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		line = strings.TrimSpace(line)
		// The files of answers that the host has read are removed but still mapped.
		removed := strings.HasSuffix(line, " (deleted)")
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.Contains(line, "/bittern-arena-") && !removed {
			if err := os.Truncate(line[at:], 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func description(kind plugins.Kind, name string, options []plugins.Option, traits ...string) (plugins.Description, error) {
	return plugins.Description{
		Kind: kind, Name: name, Version: "1.0.0", API: plugins.APIVersion, Summary: "for tests", Options: options, Traits: traits,
	}, nil
}

// slow makes a step take longer, so that a test can meet the training under way. With a
// file in the option "while", steps are slow only as long as that exists.
func slow(ctx context.Context, options plugins.Values) {
	file, pause := options.Text("while"), time.Duration(options.Int("pause"))*time.Millisecond
	if pause == 0 {
		return
	}
	const look = 10 * time.Millisecond
	for end := time.Now().Add(pause); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(min(look, pause)) {
		if _, err := os.Stat(file); file != "" && err != nil {
			return
		}
	}
}
