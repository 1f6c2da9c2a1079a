package memory_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"bittern/harness/internal/memory"
)

// TestPrivate does not run in parallel, since it watches the memory of this process.
func TestPrivate(t *testing.T) {
	before, err := memory.Private(os.Getpid())
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this system has no /proc")
	}
	if err != nil {
		t.Fatal(err)
	}
	filled := fill()
	after, err := memory.Private(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after-before < size/2 {
		t.Errorf("private memory went from %d to %d with %d more", before, after, size)
	}
	runtime.KeepAlive(filled)
	if _, err := memory.Private(-1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is none: %v, want ErrNotExist", err)
	}
}

const size = 64 << 20

func fill() []byte {
	filled := make([]byte, size)
	for i := range filled {
		filled[i] = 1
	}
	return filled
}

// child is the environment variable that makes this test a process that holds memory until its
// input ends.
const child = "BITTERN_TEST_CHILD"

func TestTogether(t *testing.T) {
	if os.Getenv(child) != "" {
		filled := fill()
		_, _ = os.Stdout.Write([]byte{1})
		_, _ = os.Stdin.Read(make([]byte, 1))
		runtime.KeepAlive(filled)
		return
	}
	before, err := memory.Together(os.Getpid())
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this system has no smaps_rollup or no children")
	}
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run", "^TestTogether$")
	c.Env = append(os.Environ(), child+"=1")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	during, err := memory.Together(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if during-before < size/2 {
		t.Errorf("memory went from %d to %d with a child of %d", before, during, size)
	}
	if err := errors.Join(stdin.Close(), c.Wait()); err != nil {
		t.Fatal(err)
	}
	if bytes, err := memory.Together(c.Process.Pid); err != nil || bytes != 0 {
		t.Errorf("a process that has ended: %d bytes and %v, want 0", bytes, err)
	}
}
