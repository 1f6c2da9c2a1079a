package cluster

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

// Server is a NATS server with JetStream within this process, for the workers of one machine.
type Server struct {
	server *server.Server
	token  string
}

// StartServer starts a server that listens on a free port of the loopback interface, for
// those who know its URL, and keeps what it stores in a folder. The folder is for one
// server at a time.
func StartServer(folder string) (*Server, error) { return startServer(folder, server.RANDOM_PORT, rand.Text()) }

func startServer(folder string, port int, token string) (*Server, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, diskfault.Explain(err, folder)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "bittern", Host: "127.0.0.1", Port: port, Authorization: token,
		JetStream: true, StoreDir: folder, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, fmt.Errorf("the NATS server of this run: %w", err)
	}
	s.Start()
	const longest = 30 * time.Second
	if !s.ReadyForConnections(longest) || !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, plugins.Problemf("the NATS server of this run cannot keep its data in %s; make the folder writable, or name another with --runs", folder)
	}
	return &Server{server: s, token: token}, nil
}

// URL is the address of the server, with the token that opens it.
func (s *Server) URL() string {
	address, err := url.Parse(s.server.ClientURL())
	if err != nil {
		panic(err) // the server's own
	}
	address.User = url.User(s.token)
	return address.String()
}

// Close stops the server.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
