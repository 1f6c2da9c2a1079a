// Package plugintest is the conformance kit for authors of plugins in Go. One call in
// a test holds an implementation against the contract, in the test's own process and
// over the gRPC protocol:
//
//	func TestConformance(t *testing.T) { plugintest.Quantizer(t, New) }
//
// It makes a test of each check, with a name that -test.run can select. A failure says
// what the check saw and what it wanted. `bittern plugins test` runs the same checks on
// an executable, in any language.
package plugintest

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/backendrpc"
	"bittern/internal/conformance"
	"bittern/internal/conformance/checktest"
	"bittern/internal/loopback"
	"bittern/internal/modelrpc"
	"bittern/internal/quantizerrpc"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Refusals notes what a plugin refused: shapes of batches for a model, programs for a
// backend. A refusal is no failure unless the test says with Want which ones it means:
//
//	plugintest.Backend(t, New).Want(t, "gru-layer-norm", "attention")
type Refusals = checktest.Refusals

// Quantizer holds a quantizer against the contract, once with its default options and
// once with each of the given options.
func Quantizer(t *testing.T, create func() quantizer.Quantizer, options ...plugins.Values) {
	t.Helper()
	run(t, conformance.Quantizer, withDefaults(options), create, overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return quantizerrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, shared *arena.Arena) (quantizer.Quantizer, io.Closer) {
			return quantizerrpc.NewClient(conn, shared), nothing
		}))
}

// Model holds a model against the contract, once with each of the given options. Give
// options that make the network small; without any, the model's defaults are used. The
// model is built for batches of these shapes, of which it may refuse some, but not all,
// with a [plugins.Problem]:
//
//	steps       tokens, and a target at every step
//	carried     the same, where sequences go on from batch to batch
//	features    features, and one target a sequence
//	lengths     tokens in sequences of several lengths, and one target a sequence
//	question    tokens of a text and of a question, both with lengths, and one target
//	            a sequence among candidates
func Model(t *testing.T, create func() model.Model, options ...plugins.Values) *Refusals {
	t.Helper()
	if len(options) == 0 {
		options = withDefaults(nil)
	}
	return run(t, conformance.Model, options, create, overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return modelrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, shared *arena.Arena) (model.Model, io.Closer) {
			return modelrpc.NewClient(conn, shared), nothing
		}))
}

// Backend holds a backend against the contract, once with its default options and once
// with each of the given options. It deploys every program of package network/sample; the
// backend may refuse some of them with a [backend.ErrUnsupported].
func Backend(t *testing.T, create func() backend.Backend, options ...plugins.Values) *Refusals {
	t.Helper()
	return run(t, conformance.Backend, withDefaults(options), create, overGRPC(
		func(registrar grpc.ServiceRegistrar) io.Closer { return backendrpc.Register(registrar, create()) },
		func(conn grpc.ClientConnInterface, _ *arena.Arena) (backend.Backend, io.Closer) {
			client := backendrpc.NewClient(conn, "")
			return client, client
		}))
}

// run checks a plugin in this process and in the other way.
func run[P any](t *testing.T, groups func(conformance.Way[P], []plugins.Values) []*conformance.Group, options []plugins.Values, create func() P, other conformance.Way[P]) *Refusals {
	t.Helper()
	refusals := &Refusals{}
	inProcess := conformance.Way[P]{Name: "in process", Open: func(context.Context, *arena.Arena) (P, io.Closer, error) {
		return create(), nothing, nil
	}}
	for _, way := range []conformance.Way[P]{inProcess, other} {
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			checktest.Run(t, refusals, groups(way, options))
		})
	}
	return refusals
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
