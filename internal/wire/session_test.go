package wire_test

import (
	"errors"
	"os"
	"testing"

	"bittern/internal/arena"
	"bittern/internal/wire"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	theirs, err := arena.Create(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	handle, err := wire.Copy(theirs, []float32{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	read := func(r *arena.Reader) (err error) {
		got, err = wire.Read[float32](r, handle)
		return err
	}
	if err := wire.ReadAnswer(nil, read); err != nil || len(got) != 3 || got[2] != 3 {
		t.Errorf("ReadAnswer = %v, %v, want the three values", got, err)
	}
	if _, err := os.Stat(handle.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the answer's file: %v, want it removed", err)
	}
	if err := wire.ReadAnswer(nil, read); !errors.Is(err, wire.ErrUnreadable) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadAnswer of a missing file = %v, want ErrUnreadable", err)
	}
	limit := func(r *arena.Reader) error {
		if r.Limit < 1<<20 || r.Limit > 1<<30 {
			t.Errorf("an answer may have %d bytes, want a bound", r.Limit)
		}
		return nil
	}
	if err := wire.ReadAnswer(theirs, limit); err != nil {
		t.Error(err)
	}
}
