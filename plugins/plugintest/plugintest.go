// Package plugintest is the conformance kit for authors of plugins in Go. One call in
// a test holds an implementation against the contract, in this process and over
// the gRPC protocol:
//
//	func TestConformance(t *testing.T) { plugintest.Quantizer(t, mine.New) }
//
// The calls ending in Process do the same with an executable as the harness
// would start it, in any language; so does `bittern plugins test`, without Go. What is
// checked, package conformance says. A model may refuse shapes of batches and a backend
// programs; what a test means to be refused it says with [Refusals.Want].
package plugintest

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/backend"
	"bittern/plugins/conformance"
	"bittern/plugins/host"
	"bittern/plugins/internal/backendrpc"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/modelrpc"
	"bittern/plugins/internal/quantizerrpc"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Quantizer holds a quantizer against the contract, once with its default
// options and once with each of the given options.
func Quantizer(t *testing.T, create func() quantizer.Quantizer, options ...plugins.Values) {
	t.Helper()
	run(t, nil, conformance.Quantizer, withDefaults(options), inProcess(create), overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return quantizerrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, shared *arena.Arena) (quantizer.Quantizer, io.Closer) {
			return quantizerrpc.NewClient(conn, shared), nothing
		}))
}

// QuantizerProcess holds an executable, or a built-in, against the contract.
func QuantizerProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) {
	t.Helper()
	run(t, nil, conformance.Quantizer, withDefaults(options), conformance.QuantizerProcess(catalogue, name))
}

// Model holds a model against the contract, once with each of the given
// options. Give options that make the network small; with none given the
// defaults are used. The model is built for batches of several shapes; those that it
// refuses with a Problem are noted, by the names of [conformance.Model].
func Model(t *testing.T, create func() model.Model, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	run(t, refusals, conformance.Model, orDefaults(options), inProcess(create), overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return modelrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, shared *arena.Arena) (model.Model, io.Closer) {
			return modelrpc.NewClient(conn, shared), nothing
		}))
	return refusals
}

// ModelProcess holds an executable, or a built-in, against the contract.
func ModelProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	run(t, refusals, conformance.Model, orDefaults(options), conformance.ModelProcess(catalogue, name))
	return refusals
}

// Backend holds a backend against the contract, once with its default options
// and once with each of the given options. It deploys every program of package
// network/sample; those that the backend refuses with a reason are noted.
func Backend(t *testing.T, create func() backend.Backend, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	run(t, refusals, conformance.Backend, withDefaults(options), inProcess(create), overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return backendrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, _ *arena.Arena) (backend.Backend, io.Closer) {
			client := backendrpc.NewClient(conn, "")
			return client, client
		}))
	return refusals
}

// BackendProcess holds an executable, or a built-in, against the contract.
func BackendProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	run(t, refusals, conformance.Backend, withDefaults(options), conformance.BackendProcess(catalogue, name))
	return refusals
}

// run makes a test of each check.
func run[P any](t *testing.T, refusals *Refusals, groups func(conformance.Way[P], []plugins.Values) []*conformance.Group, options []plugins.Values, ways ...conformance.Way[P]) {
	for _, way := range ways {
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			for _, group := range groups(way, options) {
				t.Run(group.Name, func(t *testing.T) {
					t.Parallel()
					runGroup(t, refusals, group)
				})
			}
		})
	}
}

func runGroup(t *testing.T, refusals *Refusals, group *conformance.Group) {
	t.Cleanup(func() {
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	})
	refused := map[string]bool{}
	for _, check := range group.Checks {
		if refused[check.Of] {
			continue
		}
		name := check.Name
		if check.Of != "" {
			name = check.Of + "/" + name
		}
		t.Run(name, func(t *testing.T) {
			result, err := group.Run(t.Context(), check)
			if err != nil {
				t.Fatal(err)
			}
			if check.Of != "" {
				refusals.note(check.Of, result)
			}
			switch result.Outcome {
			case conformance.Failed:
				t.Errorf("%s, want %s", result.Seen, result.Expected)
			case conformance.Skipped:
				t.Skip(result.Seen)
			case conformance.Refused:
				refused[check.Of] = true
				t.Skipf("refused: %s", result.Seen)
			}
		})
	}
}

func inProcess[P any](create func() P) conformance.Way[P] {
	return conformance.Way[P]{Name: "in process", Open: func(context.Context, *arena.Arena) (P, io.Closer, error) {
		return create(), nothing, nil
	}}
}

// overGRPC serves a plugin over gRPC in this process.
func overGRPC[P any](register func(grpc.ServiceRegistrar) io.Closer, client func(grpc.ClientConnInterface, *arena.Arena) (P, io.Closer)) conformance.Way[P] {
	return conformance.Way[P]{Name: "over gRPC", Open: func(_ context.Context, shared *arena.Arena) (P, io.Closer, error) {
		var session io.Closer
		conn, end, err := loopback.Serve(func(registrar grpc.ServiceRegistrar) { session = register(registrar) })
		if err != nil {
			var none P
			return none, nil, err
		}
		plugin, closer := client(conn, shared)
		return plugin, closing(func() error { return errors.Join(closer.Close(), end(), session.Close()) }), nil
	}}
}

// closing is an io.Closer of a function.
type closing func() error

func (c closing) Close() error { return c() }

var nothing = closing(func() error { return nil })

// withDefaults puts a plugin's default options before those given.
func withDefaults(options []plugins.Values) []plugins.Values {
	return append([]plugins.Values{nil}, options...)
}

// orDefaults are the options given, or a plugin's defaults where there are none.
func orDefaults(options []plugins.Values) []plugins.Values {
	if len(options) == 0 {
		return withDefaults(nil)
	}
	return options
}
