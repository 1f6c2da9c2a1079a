//go:build unix

package rtl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// An interrupted tool takes along what it has started: the child holds the other end of a
// pipe, whose reader sees its end only when the child is gone.
func TestAnInterruptedToolTakesItsChildrenAlong(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("skipped: no named pipe can be made here: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := run(ctx, folder, "sh", "-c", `(echo started; exec sleep 1000) > pipe & wait`)
		ended <- err
	}()
	reader, err := os.Open(pipe) // waits until the child has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	line := make([]byte, len("started\n"))
	if _, err := reader.Read(line); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted tool answered %v, want %v", err, context.Canceled)
	}
	if err := reader.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := reader.Read(line); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the child still holds its pipe: read %d bytes, %v", n, err)
	}
}
