//go:build unix

package arena

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bittern/plugins"
)

// newArena makes an arena of one file, with one tensor.
func newArena(t *testing.T) (*Arena, []float32) {
	t.Helper()
	a, err := Create(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	tensor, err := Make[float32](a, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return a, tensor
}

// TestGuard cuts an arena short while its owner uses it.
func TestGuard(t *testing.T) {
	t.Parallel()
	a, tensor := newArena(t)
	write := func() (err error) {
		defer a.Guard(&err)()
		for i := range tensor {
			tensor[i] = 1
		}
		return nil
	}
	if err := errors.Join(write(), a.Intact()); err != nil {
		t.Fatalf("writing to a whole arena: %v", err)
	}
	if err := os.Truncate(a.Files()[0], 8192); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := write(); !errors.Is(err, ErrTruncated) {
			t.Errorf("writing to an arena that was cut short = %v, want ErrTruncated", err)
		}
	}
	if err := a.Intact(); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "8192 of ") {
		t.Errorf("Intact = %v, want ErrTruncated with both sizes", err)
	}
	copied := make([]float32, len(tensor))
	if err := func() (err error) {
		defer a.Guard(&err)()
		copy(copied, tensor)
		return nil
	}(); !errors.Is(err, ErrTruncated) {
		t.Errorf("copying from an arena that was cut short = %v, want ErrTruncated", err)
	}
}

// TestGuardLetsOtherPanicsPass checks that Guard does not recover a fault outside the arena.
func TestGuardLetsOtherPanicsPass(t *testing.T) {
	t.Parallel()
	a, _ := newArena(t)
	for name, wrong := range map[string]func(){
		"a panic":                     func() { panic("upside down") },
		"a nil pointer":               func() { _ = *(*int)(nil) },
		"an index out of range":       func() { _ = []int{}[len(name())] },
		"an arena that is not this's": func() { touchTruncated(t) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not pass the guard", name)
				}
			}()
			var err error
			defer a.Guard(&err)()
			wrong()
		}()
	}
}

func name() string { return "x" }

func touchTruncated(t *testing.T) {
	a, tensor := newArena(t)
	if err := os.Truncate(a.Files()[0], 0); err != nil {
		t.Fatal(err)
	}
	tensor[0] = 1
}

// TestReaderRefuses gives Read tensors that a broken or hostile plugin might name.
func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	a, tensor := newArena(t)
	tensor[0], tensor[7] = 5, 6
	good, err := Locate(a, tensor[:8])
	if err != nil {
		t.Fatal(err)
	}
	reader := &Reader{Limit: 40}
	defer reader.Close()
	got, err := Read[float32](reader, good)
	if err != nil || len(got) != 8 || got[0] != 5 || got[7] != 6 {
		t.Fatalf("Read = %v (error %v), want 8 elements, 5 first and 6 last", got, err)
	}
	if _, err := Read[float32](reader, good); err == nil || !strings.Contains(err.Error(), "more than the 40 that") {
		t.Errorf("Read of 64 bytes in all = %v, want the limit of 40 named", err)
	}

	folder := t.TempDir()
	place := func(name string) string { return filepath.Join(folder, prefix+name) }
	immense := place("immense") // a file of holes, which takes no space
	for _, err := range []error{
		syscall.Mkfifo(place("pipe"), 0o600), os.Mkdir(place("folder"), 0o700), os.Symlink(good.File, place("link")),
		os.WriteFile(immense, nil, 0o600), os.Truncate(immense, 1<<40),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*Tensor){
		"another type":           func(h *Tensor) { h.Type = Int32 },
		"an immense shape":       func(h *Tensor) { h.Shape = []int{1 << 62, 3} },
		"more than the file":     func(h *Tensor) { h.Shape = []int{1 << 40} },
		"an immense file":        func(h *Tensor) { h.File, h.Shape = immense, []int{1 << 38} },
		"a negative offset":      func(h *Tensor) { h.Offset = -64 },
		"an offset past the end": func(h *Tensor) { h.Offset = 1 << 40 },
		"an odd offset":          func(h *Tensor) { h.Offset = 2 },
		"a missing file":         func(h *Tensor) { h.File += "x" },
		"a file of another kind": func(h *Tensor) { h.File = filepath.Join(folder, "letters") },
		"a pipe":                 func(h *Tensor) { h.File = place("pipe") },
		"a folder":               func(h *Tensor) { h.File = place("folder") },
		"a link":                 func(h *Tensor) { h.File = place("link") },
	} {
		handle := good
		change(&handle)
		reader := &Reader{Limit: 1 << 20}
		if got, err := Read[float32](reader, handle); err == nil {
			t.Errorf("Read of %s = %d elements, want an error", name, len(got))
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSweepSkipsWhatIsNotOurs gives the name of an arena to whatever another user might. The
// folder's own name has characters of a glob pattern.
func TestSweepSkipsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "shared [a-z*")
	place := func(name string) string { return filepath.Join(folder, prefix+name) }
	elsewhere := filepath.Join(t.TempDir(), prefix+"kept")
	for _, err := range []error{
		os.Mkdir(folder, 0o700), os.Mkdir(place("folder"), 0o755), syscall.Mkfifo(place("pipe"), 0o600),
		os.WriteFile(elsewhere, nil, 0o600), os.Symlink(elsewhere, place("link")), os.Symlink("nowhere", place("dangling")),
		os.WriteFile(place("left"), nil, 0o600), os.WriteFile(filepath.Join(folder, prefix), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := Sweep(folder), []string{place("left")}; !slices.Equal(got, want) {
		t.Errorf("Sweep removed %q, want %q", got, want)
	}
	for _, path := range []string{place("folder"), place("pipe"), place("link"), place("dangling"), elsewhere} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("after sweeping: %v, want it left alone", err)
		}
	}
	a, err := Create(folder, 1)
	if err != nil {
		t.Fatalf("Create in %s: %v", folder, err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if got := Sweep(filepath.Join(folder, "missing")); len(got) > 0 {
		t.Errorf("Sweep of a missing folder removed %q, want nothing", got)
	}
}

// TestUserFolder takes the names of a user's folder, one after another, for something else.
func TestUserFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	take := func(path string) {
		t.Helper()
		if err := os.Symlink(t.TempDir(), path); err != nil {
			t.Fatal(err)
		}
	}
	first, err := userFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(first); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("%s: %v, %v, want a folder of mode 0700", first, info, err)
	}
	if again, err := userFolder(parent); err != nil || again != first {
		t.Errorf("userFolder a second time = %s (error %v), want %s", again, err, first)
	}
	if err := os.Chmod(first, 0o770); err != nil {
		t.Fatal(err)
	}
	if next, err := userFolder(parent); err != nil || next != first+"-2" {
		t.Errorf("userFolder where others may write = %s (error %v), want %s-2", next, err, first)
	}
	if err := os.Remove(first + "-2"); err != nil {
		t.Fatal(err)
	}
	take(first + "-2")
	if next, err := userFolder(parent); err != nil || next != first+"-3" {
		t.Errorf("userFolder with a link in place of the second = %s (error %v), want %s-3", next, err, first)
	}
	if err := os.Remove(first + "-3"); err != nil {
		t.Fatal(err)
	}
	for _, digit := range "3456789" {
		take(first + "-" + string(digit))
	}
	_, err = userFolder(parent)
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "remove them or set BITTERN_ARENA_FOLDER to a folder of your own") {
		t.Errorf("userFolder with every name taken = %v, want a problem that says what to do", err)
	}
	_, err = userFolder(filepath.Join(parent, "missing"))
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "cannot make the folder for tensors") {
		t.Errorf("userFolder in a missing folder = %v, want a problem", err)
	}
}
