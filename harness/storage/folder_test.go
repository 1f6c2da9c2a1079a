package storage_test

import (
	"errors"
	"path/filepath"
	"testing"

	"bittern/harness/checkpoint"
	"bittern/harness/storage"
	"bittern/harness/storage/storagetest"
	"bittern/harness/store"
)

// folder is a folder of runs.
type folder string

func (f folder) Open(t *testing.T) storage.Storage {
	t.Helper()
	runs, err := store.Open(t.Context(), string(f))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	})
	return storage.InFolder(runs)
}

func (f folder) Metrics(t *testing.T, experiment string) ([]store.Step, []store.Validation) {
	t.Helper()
	steps, err := store.ReadSteps(filepath.Join(string(f), experiment))
	if err != nil {
		t.Fatal(err)
	}
	validations, err := store.ReadValidations(filepath.Join(string(f), experiment))
	if err != nil {
		t.Fatal(err)
	}
	return steps, validations
}

func TestInFolder(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storagetest.Place { return folder(t.TempDir()) })
}

// The checkpoints of an experiment are not read while it is run, nor written by reading.
func TestReadSaved(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	s := f.Open(t)
	calls := 0
	read := func() error {
		return storage.ReadSaved(string(f), "one", func(c storage.Checkpoints) error {
			calls++
			_, err := c.Load(t.Context(), storage.Last, "one", nil)
			return err
		})
	}
	if err := read(); err != nil || calls != 0 {
		t.Errorf("ReadSaved of nothing = %v after %d calls, want none", err, calls)
	}
	if err := s.Checkpoints.Save(t.Context(), storage.Last, checkpoint.Manifest{Experiment: "one"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil || calls != 1 {
		t.Errorf("ReadSaved = %v after %d calls, want 1", err, calls)
	}
	release, err := s.Journal.Lock(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, held := errors.AsType[*store.Held](read()); !held || calls != 1 {
		t.Errorf("ReadSaved of an experiment that is run: held %v, %d calls, want true and 1", held, calls)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}
