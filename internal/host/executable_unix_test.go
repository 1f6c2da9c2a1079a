//go:build unix

package host

import (
	"os"
	"path/filepath"
	"testing"

	"bittern/internal/testexec"
	"bittern/plugins"
)

func openScript(t *testing.T) *executable {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bittern-quantizer-x")
	testexec.Write(t, path, []byte("#!/bin/sh\necho verified\n"))
	e, err := openExecutable(Entry{ID: plugins.ID{Kind: plugins.KindQuantizer, Name: "x"}, Path: path}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestStartsWhatWasHashed replaces an executable after its checksum was taken.
func TestStartsWhatWasHashed(t *testing.T) {
	t.Parallel()
	e := openScript(t)
	other := e.entry.Path + ".new"
	testexec.Write(t, other, []byte("#!/bin/sh\necho swapped\n"))
	if err := os.Rename(other, e.entry.Path); err != nil {
		t.Fatal(err)
	}
	output, err := e.command().Output()
	if !byDescriptor {
		if err := e.check(); err == nil {
			t.Error("check = nil after the file was replaced, want a problem")
		}
		return
	}
	if err != nil || string(output) != "verified\n" {
		t.Errorf("the command printed %q, %v, want what was hashed", output, err)
	}
	if err := e.check(); err != nil {
		t.Errorf("check = %v, want nil: the right bytes were started", err)
	}
}

// TestWrittenWhileStarting writes into an executable after its checksum was taken.
func TestWrittenWhileStarting(t *testing.T) {
	t.Parallel()
	e := openScript(t)
	if err := e.check(); err != nil {
		t.Fatalf("check = %v before anything happened, want nil", err)
	}
	testexec.Write(t, e.entry.Path, []byte("#!/bin/sh\necho replaced\n"))
	want := "quantizer/x (" + e.entry.Path + ") was changed while it was being started; try again once it is installed"
	if err := e.check(); err == nil || err.Error() != want {
		t.Errorf("check = %v, want %s", err, want)
	}
}

func TestSweepSockets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, socketPrefix+name) }
	for _, name := range []string{"dead", "alive"} {
		if err := os.Mkdir(path(name), 0o700); err != nil {
			t.Fatal(err)
		}
		testexec.Write(t, filepath.Join(path(name), "socket"), []byte(""))
	}
	testexec.Write(t, path("file"), []byte(""))
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, path("link")); err != nil {
		t.Fatal(err)
	}
	lock, free, err := lockFolder(path("alive"))
	if err != nil || !free {
		t.Fatalf("lockFolder = %v, %v", free, err)
	}
	defer func() { _ = lock.Close() }()
	sweepSockets(folder)
	for name, want := range map[string]bool{"dead": false, "alive": true, "file": true, "link": true} {
		if got := exists(path(name)); got != want {
			t.Errorf("after the sweep %s exists: %v, want %v", name, got, want)
		}
	}
	if !exists(elsewhere) || !exists(filepath.Join(path("alive"), "socket")) {
		t.Error("the sweep removed what is not its own")
	}
}

// A built-in trusts whoever speaks to its socket.
func TestNobodyElseEntersASocketFolder(t *testing.T) {
	t.Parallel()
	folder, err := newSocketFolder()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(folder.path)
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("the folder's mode is %v, %v; want it open to its owner alone", info.Mode(), err)
	}
	if err := folder.remove(); err != nil {
		t.Error(err)
	}
}
