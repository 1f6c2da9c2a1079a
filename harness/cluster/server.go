package cluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/runfolder"
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
func StartServer(folder string) (*Server, error) {
	return startServer(folder, server.RANDOM_PORT, rand.Text())
}

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

// LockFolder takes the folder of a server's data, which is made where it does not exist, until
// what it returns is closed.
func LockFolder(folder string) (io.Closer, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, diskfault.Explain(err, folder)
	}
	path := filepath.Join(folder, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, diskfault.Explain(err, path)
	}
	err = runfolder.TryLock(file, runfolder.Exclusive)
	if errors.Is(err, runfolder.ErrLocked) {
		err = plugins.Problemf("another run has its workers in %s; wait until it has ended, or name another folder with --runs", folder)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
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
