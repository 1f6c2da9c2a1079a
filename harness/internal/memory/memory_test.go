package memory_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"bittern/harness/internal/memory"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	peak, err := memory.PeakResident(os.Getpid())
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this system has no /proc")
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := memory.Private(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	filled := make([]byte, size)
	for i := range filled {
		filled[i] = 1
	}
	after, err := memory.Private(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after-before < size/2 || after > peak+2*size {
		t.Errorf("private memory went from %d to %d with %d more, and the peak was %d", before, after, size, peak)
	}
	runtime.KeepAlive(filled)
	if _, err := memory.Private(-1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is none: %v, want ErrNotExist", err)
	}
}
