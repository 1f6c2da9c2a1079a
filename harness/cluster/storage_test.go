package cluster

import (
	"context"
	"testing"

	"bittern/harness/storage"
	"bittern/harness/storage/storagetest"
	"bittern/harness/store"
)

// startTestServer starts a server for a test.
func startTestServer(t *testing.T) *Server {
	t.Helper()
	s, err := StartServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, url string) *Cluster {
	t.Helper()
	c, err := Connect(t.Context(), Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// place is a server.
type place struct{ url string }

func (p place) Open(t *testing.T) storage.Storage {
	t.Helper()
	return connect(t, p.url).newDesk("worker").storage()
}

func (p place) Metrics(t *testing.T, experiment string) ([]store.Step, []store.Validation) {
	t.Helper()
	c, folder := connect(t, p.url), t.TempDir()
	r, _, err := c.record(t.Context(), experiment)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	written := replay{folder: folder}
	if err := c.follow(ctx, experiment, func(sequence uint64, text []byte) error {
		if sequence == r.Metrics {
			stop()
		}
		return written.add(text)
	}); err != nil {
		t.Fatal(err)
	}
	if err := written.close(); err != nil {
		t.Fatal(err)
	}
	steps, err := store.ReadSteps(folder)
	if err != nil {
		t.Fatal(err)
	}
	validations, err := store.ReadValidations(folder)
	if err != nil {
		t.Fatal(err)
	}
	return steps, validations
}

// What a folder of runs does, a server does.
func TestStorage(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storagetest.Place { return place{startTestServer(t).URL()} })
}
