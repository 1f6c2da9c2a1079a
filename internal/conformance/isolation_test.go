package conformance_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bittern/internal/conformance"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

// TestMain lets the host start this binary as a plugin whose Freeze fails in the way that its
// name says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		_, name, _ := strings.Cut(os.Args[2], "/")
		sdk.ServeQuantizer(freezing{null.NewQuantizer(), name})
		return
	}
	os.Exit(m.Run())
}

// freezing is the null quantizer with another Freeze.
type freezing struct {
	quantizer.Quantizer
	how string
}

func (f freezing) Describe(ctx context.Context) (plugins.Description, error) {
	d, err := f.Quantizer.Describe(ctx)
	d.Name = f.how
	return d, err
}

func (f freezing) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	switch f.how {
	case "crashing":
		os.Stderr.WriteString("the ice breaks\n")
		os.Exit(3)
	case "hanging":
		select {}
	case "panicking":
		panic("the ice breaks")
	}
	return nil, errors.New("the ice breaks")
}

// TestChecksAreIsolated checks that a fault in one call makes the checks fail that make this
// call, and no others.
func TestChecksAreIsolated(t *testing.T) {
	t.Parallel()
	catalogue, err := host.NewCatalogue([]plugins.ID{
		{Kind: plugins.KindQuantizer, Name: "crashing"}, {Kind: plugins.KindQuantizer, Name: "hanging"}, {Kind: plugins.KindQuantizer, Name: "panicking"},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		how, seen string
		inProcess bool
	}{
		"panic in process": {"panicking", "panic: the ice breaks (bittern/internal/conformance_test.freezing.Freeze, line ", true},
		"error in process": {"failing", "Freeze: the ice breaks", true},
		"hang in process":  {"hanging", "the plugin hangs: no answer within 5s", true},
		"panic":            {"panicking", "panic: the ice breaks (bittern/internal/conformance_test.freezing.Freeze, line ", false},
		"crash":            {"crashing", `crashed during Freeze: exit status 3; its last words: "the ice breaks"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			groups := process.Groups(catalogue, plugins.ID{Kind: plugins.KindQuantizer, Name: c.how})
			if c.inProcess {
				way := inProcess(func() quantizer.Quantizer { return freezing{null.NewQuantizer(), c.how} })
				groups = conformance.Quantizer(way, []plugins.Values{nil})
			}
			freezes := 4 // checks that call Freeze
			if c.how == "hanging" {
				// One of them has to time out; the others end long before that.
				groups[1].SetLimit(5 * time.Second)
				groups[1].Checks = slices.DeleteFunc(groups[1].Checks, func(c conformance.Check) bool { return c.Name != "Freeze" && c.Name != "NaN" })
				freezes = 1
			}
			var failed, passed []string
			err := conformance.RunAll(t.Context(), groups, func(r conformance.Result) {
				switch r.Outcome {
				case conformance.Failed:
					failed = append(failed, r.Check)
					if !strings.Contains(r.Seen, c.seen) {
						t.Errorf("%s saw %q, want %q", r.Check, r.Seen, c.seen)
					}
				case conformance.Passed:
					passed = append(passed, r.Check)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(failed) != freezes || !slices.Contains(failed, "default options/Freeze") {
				t.Errorf("the checks %q failed, want the %d that call Freeze", failed, freezes)
			}
			if last := "default options/NaN"; !slices.Contains(passed, last) {
				t.Errorf("the checks %q passed, want %s among them", passed, last)
			}
		})
	}
}
