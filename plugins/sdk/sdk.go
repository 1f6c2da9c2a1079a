// Package sdk serves a plugin. A plugin is an executable named bittern-<kind>-<name> whose
// main is one line:
//
//	func main() { sdk.ServeQuantizer(New()) }
//
// Serving speaks the protocol, lets calls in one at a time, turns a panic of the
// implementation into an error with the stack on stderr, sends everything that the plugin
// prints to Bittern's log, and ends the process when Bittern has ended.
//
// Hold the implementation against the contract before you ship it: with package plugintest
// in a test, or with `bittern plugins test` on the executable.
package sdk

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"bittern/internal/backendrpc"
	"bittern/internal/modelrpc"
	"bittern/internal/quantizerrpc"
	"bittern/internal/wire"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// ServeQuantizer serves a quantizer until Bittern ends the process.
func ServeQuantizer(q quantizer.Quantizer) {
	serve(func(registrar grpc.ServiceRegistrar) io.Closer { return quantizerrpc.Register(registrar, q) })
}

// ServeModel serves a model until Bittern ends the process.
func ServeModel(m model.Model) {
	serve(func(registrar grpc.ServiceRegistrar) io.Closer { return modelrpc.Register(registrar, m) })
}

// ServeBackend serves a backend until Bittern ends the process.
func ServeBackend(b backend.Backend) {
	serve(func(registrar grpc.ServiceRegistrar) io.Closer { return backendrpc.Register(registrar, b) })
}

func serve(register func(grpc.ServiceRegistrar) io.Closer) {
	stderr := os.Stderr
	if os.Getenv(wire.Handshake.MagicCookieKey) != wire.Handshake.MagicCookieValue {
		fmt.Fprintln(stderr, "this is a Bittern plugin: name its folder with --plugins and itself in a suite, and let bittern start it")
		os.Exit(2)
	}
	go exitWithHost(os.Stdin)

	var served io.Closer
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: wire.Handshake,
		Plugins: plugin.PluginSet{wire.Service: &wire.Plugin{Register: func(registrar grpc.ServiceRegistrar) {
			served = register(registrar)
		}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server { return newServer(options, stderr) },
		// Only what went wrong: the host shows stderr's last lines to the user.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr}),
	})
	if served == nil {
		return
	}
	if err := served.Close(); err != nil {
		fmt.Fprintln(stderr, "closing the plugin:", err)
	}
}

func newServer(options []grpc.ServerOption, stderr *os.File) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(wire.MaxMessage),
		grpc.ChainUnaryInterceptor(keepOutput(stderr), wire.ServeErrors, oneAtATime(), wire.RecoverPanics(stderr)),
	)...)
}

// exitWithHost ends the process at the end of stdin, which the host holds open
// for as long as it lives.
func exitWithHost(stdin io.Reader) {
	_, _ = io.Copy(io.Discard, stdin) // an error means the same as the end
	os.Exit(1)
}

// keepOutput sends what the implementation prints to the process's own stderr.
// go-plugin has pointed os.Stdout and os.Stderr at a stream of the connection,
// which would lose the last words of a plugin that crashes.
func keepOutput(stderr *os.File) grpc.UnaryServerInterceptor {
	var once sync.Once
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		once.Do(func() { os.Stdout, os.Stderr = stderr, stderr })
		return handler(ctx, request)
	}
}

// oneAtATime lets an implementation rely on calls that do not overlap, even
// after the host has given up waiting for one.
func oneAtATime() grpc.UnaryServerInterceptor {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !wire.Ours(info.FullMethod) {
			return handler(ctx, request)
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			return handler(ctx, request)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
