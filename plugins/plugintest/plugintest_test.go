package plugintest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
)

// faultVariable names the fault that TestFaulty has, in a process of its own:
// there its failure is what is wanted.
const faultVariable = "BITTERN_TEST_FAULT"

// TestFailuresAreTestFailures sees that a test fails, with the message, where a check
// does and where other things are refused than the test means. Which faults the checks
// find, the tests of package conformance show.
func TestFailuresAreTestFailures(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := exec.Command(self, "-test.run=^TestFaulty$", "-test.v")
			c.Env = append(os.Environ(), faultVariable+"="+name)
			output, err := c.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the kit on a plugin with this fault: %v, want it to fail; output:\n%s", err, output)
			}
			for _, message := range f.messages {
				if !strings.Contains(string(output), message) {
					t.Errorf("the kit's output has no %q:\n%s", message, output)
				}
			}
		})
	}
}

func TestFaulty(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		t.Skip("runs in a process of its own, started by TestFailuresAreTestFailures")
	}
	faults[fault].run(t)
}

var faults = map[string]struct {
	messages []string
	run      func(*testing.T)
}{
	// The panic fails the checks that quantize, in both ways, and no others.
	"a panic": {[]string{
		"panic: out of range (bittern/plugins/plugintest_test.panicking.Quantize, line ", "want no panic",
		"--- PASS: TestFaulty/in_process/all_options/Describe",
		"--- FAIL: TestFaulty/in_process/default_options/draws_replay",
		"--- FAIL: TestFaulty/over_gRPC/default_options/draws_replay",
		"--- SKIP: TestFaulty/over_gRPC/default_options/Project",
	}, func(t *testing.T) {
		plugintest.Quantizer(t, func() quantizer.Quantizer { return panicking{null.NewQuantizer()} })
	}},
	"a backward whose trait is forgotten": {[]string{
		"--- FAIL: TestFaulty/in_process/default_options/traits_are_told",
		"--- FAIL: TestFaulty/over_gRPC/default_options/traits_are_told",
		`but the description has no trait "backward", so it is never called, want the trait, or a Backward that does nothing`,
	}, func(t *testing.T) {
		plugintest.Quantizer(t, func() quantizer.Quantizer { return &untold{Quantizer: null.NewQuantizer()} })
	}},
	"a trait without its method": {[]string{
		"--- FAIL: TestFaulty/in_process/default_options/Backward",
		`the quantizer has no Backward of its own: write the method, or take the trait "backward" out of the Description`,
	}, func(t *testing.T) {
		plugintest.Quantizer(t, func() quantizer.Quantizer { return boastful{null.NewQuantizer()} })
	}},
	"a task refused that is meant": {[]string{"features is refused, want it served: give it tokens"}, func(t *testing.T) {
		plugintest.Model(t, newReader, few).Want(t)
	}},
	"a task served that is not meant": {[]string{"lengths is served, want it refused"}, func(t *testing.T) {
		plugintest.Model(t, newReader, few).Want(t, "features", "lengths")
	}},
	"a program refused that is meant": {[]string{"attention is refused, want it served: it has no exponential"}, func(t *testing.T) {
		plugintest.Backend(t, newMachine).Want(t)
	}},
	"a program served that is not meant": {[]string{"tagger is served, want it refused"}, func(t *testing.T) {
		plugintest.Backend(t, newMachine).Want(t, "attention", "tagger")
	}},
}

type panicking struct{ quantizer.Quantizer }

func (panicking) Quantize(context.Context, quantizer.Draw) error { panic("out of range") }

// untold changes gradients, but does not say so in its traits.
type untold struct {
	quantizer.Quantizer
	weights []quantizer.Weight
}

func (u *untold) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	u.weights = weights
	return u.Quantizer.Open(ctx, options, weights)
}

func (u *untold) Backward(context.Context, quantizer.Backward) error {
	for _, w := range u.weights {
		clear(w.Grad)
	}
	return nil
}

// boastful has the trait of a call that it leaves to the Base of the null quantizer.
type boastful struct{ quantizer.Quantizer }

func (b boastful) Describe(ctx context.Context) (plugins.Description, error) {
	d, err := b.Quantizer.Describe(ctx)
	d.Traits = append(d.Traits, quantizer.TraitBackward)
	return d, err
}

func TestRefusalsAreNoFaults(t *testing.T) {
	t.Parallel()
	plugintest.Model(t, newReader, few).Want(t, "features")
	plugintest.Backend(t, newMachine).Want(t, "attention")
}

var few = plugins.Values{"units": "2"}

// reader is the null model, but for features.
type reader struct{ model.Model }

func newReader() model.Model { return reader{null.NewModel()} }

func (r reader) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	if shape.Inputs[0].Role == network.Features {
		return model.Plan{}, plugins.Problemf("give it tokens")
	}
	return r.Model.Plan(ctx, options, shape)
}

// machine is the null backend, but for attention.
type machine struct{ backend.Backend }

func newMachine() backend.Backend { return machine{null.NewBackend()} }

func (m machine) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	for _, s := range request.Network.Stages {
		if s.Op == network.Softmax {
			return backend.Deployed{}, &backend.ErrUnsupported{Reason: "it has no exponential"}
		}
	}
	return m.Backend.Deploy(ctx, request)
}
