package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Within one process, too, a lock is had once. (That a kill releases it is shown by the
// tests of package experiment.)
func TestLockIsHadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := openStore(t, dir), openStore(t, dir)
	lock, err := a.Lock(t.Context(), "one")
	must(t, err)
	_, err = b.Lock(t.Context(), "one")
	held, ok := errors.AsType[*Held](err)
	if !ok || held.Experiment != "one" || held.Holder.PID != os.Getpid() || held.Holder.Host == "" || held.Holder.Since.IsZero() {
		t.Errorf("second Lock = %v, want one held by this process", err)
	}
	wantProblem(t, err, "experiment one is being run by process", "on host", "since", "--runs")
	other, err := b.Lock(t.Context(), "two")
	must(t, err)
	must(t, other.Release())
	read := false
	reading := func() error { read = true; return nil }
	if err := ReadLocked(a.ExperimentDir("one"), reading); !errors.As(err, &held) || read {
		t.Errorf("ReadLocked = %v, read %v, want it held", err, read)
	}
	must(t, lock.Release())
	must(t, ReadLocked(a.ExperimentDir("one"), reading))
	must(t, ReadLocked(a.ExperimentDir("three"), reading))
	if !read {
		t.Error("ReadLocked did not read")
	}
	lock, err = b.Lock(t.Context(), "one")
	must(t, err)
	must(t, lock.Release())
}

// A process that is just being started has the lock's file open, too, for a moment. It does
// not keep the lock that is given up meanwhile.
func TestALockThatIsGivenUpIsFree(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	lock, err := s.Lock(t.Context(), "one")
	must(t, err)
	copied, err := syscall.Dup(int(lock.file.Fd()))
	must(t, err)
	defer func() { must(t, syscall.Close(copied)) }()
	must(t, lock.Release())
	lock, err = s.Lock(t.Context(), "one")
	must(t, err)
	must(t, lock.Release())
}

func TestLockFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	s := openStore(t, dir)
	must(t, os.Symlink(outside, filepath.Join(dir, "one")))
	must(t, os.Mkdir(filepath.Join(dir, "two"), 0o700))
	kept := filepath.Join(outside, "file")
	must(t, os.WriteFile(kept, []byte("kept"), 0o600))
	must(t, os.Symlink(kept, filepath.Join(dir, "two", lockName)))
	for _, id := range []string{"one", "two"} {
		_, err := s.Lock(t.Context(), id)
		wantProblem(t, err, "is a symbolic link", id)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v, want the file from before", entries, err)
	}
	if got, err := os.ReadFile(kept); err != nil || !strings.HasPrefix(string(got), "kept") {
		t.Errorf("the file outside holds %q, %v", got, err)
	}
}

// The metrics of an experiment are read and written in its own folder alone.
func TestStepsFollowNoLink(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	appendSteps(t, outside, 0, 0, 3)
	before := content(t, outside)
	must(t, os.Symlink(outside, filepath.Join(dir, "folder")))
	must(t, os.Mkdir(filepath.Join(dir, "file"), 0o700))
	must(t, os.Symlink(filepath.Join(outside, stepsName), filepath.Join(dir, "file", stepsName)))
	for _, name := range []string{"folder", "file"} {
		_, err := OpenSteps(filepath.Join(dir, name), 0)
		wantProblem(t, err, "is a symbolic link", name)
		_, err = ReadSteps(filepath.Join(dir, name))
		wantProblem(t, err, "is a symbolic link", name)
	}
	if got := content(t, outside); got != before {
		t.Errorf("outside are %q, want %q", got, before)
	}
}
