// Package loopback serves a plugin over gRPC within one process, for tests.
package loopback

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"bittern/internal/wire"
)

// Serve starts a server in this process, to which register adds its services. It returns a
// connection to it, and a function that closes the connection and stops the server.
func Serve(register func(grpc.ServiceRegistrar)) (*grpc.ClientConn, func() error, error) {
	listener := bufconn.Listen(1 << 16)
	conn, err := grpc.NewClient("passthrough:plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(wire.ClientErrors))
	if err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.ChainUnaryInterceptor(wire.ServeErrors, wire.RecoverPanics(io.Discard)))
	register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return conn, func() error {
		err := conn.Close()
		server.Stop()
		return errors.Join(err, <-served)
	}, nil
}

// Connect serves as [Serve] does until the test ends, and returns the connection.
func Connect(t testing.TB, register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	t.Helper()
	conn, end, err := Serve(register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return conn
}
