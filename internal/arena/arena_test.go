package arena_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"bittern/internal/arena"
	"bittern/plugins"
)

// ownerVariable is an environment variable that names a folder. The test binary then makes an
// arena there and keeps it until its stdin ends.
const ownerVariable = "BITTERN_TEST_ARENA_OWNER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(ownerVariable); folder != "" {
		a, err := arena.Create(folder, 1)
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(a.Files()[0])
		_, _ = os.Stdin.Read(make([]byte, 1)) // returns when stdin ends
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func create(t *testing.T, size int) *arena.Arena {
	t.Helper()
	a, err := arena.Create(t.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func makeTensor[T arena.Element](t *testing.T, a *arena.Arena, shape ...int) []T {
	t.Helper()
	slice, err := arena.Make[T](a, shape...)
	if err != nil {
		t.Fatalf("Make(%v): %v", shape, err)
	}
	return slice
}

func view[T arena.Element](t *testing.T, m *arena.Mapping, tensor arena.Tensor) []T {
	t.Helper()
	slice, err := arena.View[T](m, tensor)
	if err != nil {
		t.Fatalf("View(%+v): %v", tensor, err)
	}
	return slice
}

// roundTrip writes n elements through the arena and reads them through a mapping.
func roundTrip[T arena.Element](t *testing.T, a *arena.Arena, wantType arena.Type, shape ...int) {
	t.Helper()
	slice := makeTensor[T](t, a, shape...)
	for i := range slice {
		slice[i] = T(i%251 + 1)
	}
	tensor, err := arena.Locate(a, slice, shape...)
	if err != nil {
		t.Fatalf("Locate: %v", err)
	}
	if tensor.Type != wantType || !slices.Equal(tensor.Shape, shape) {
		t.Errorf("handle = %+v, want the type %s and the shape %v", tensor, wantType, shape)
	}
	mapping := new(arena.Mapping)
	seen := view[T](t, mapping, tensor)
	if !slices.Equal(seen, slice) {
		t.Errorf("%s %v seen through a mapping = %v, want %v", wantType, shape, seen, slice)
	}
	if len(seen) > 0 {
		seen[len(seen)-1] = 99
		if got := slice[len(slice)-1]; got != 99 {
			t.Errorf("%s written through a mapping: the arena holds %v, want 99", wantType, got)
		}
	}
	if err := mapping.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	a := create(t, 0)
	for _, shape := range [][]int{{1}, {1, 1}, {3, 5}, {17, 33}, {0}, {4, 0}, {2, 3, 5}, {100_003}} {
		roundTrip[float32](t, a, arena.Float32, shape...)
		roundTrip[int32](t, a, arena.Int32, shape...)
		roundTrip[uint16](t, a, arena.Uint16, shape...)
		roundTrip[uint8](t, a, arena.Uint8, shape...)
	}
}

func TestTensorsStartOnCacheLinesAndDoNotOverlap(t *testing.T) {
	t.Parallel()
	a := create(t, 1<<12)
	var before uintptr
	for n := 1; n < 200; n += 7 {
		slice := makeTensor[uint8](t, a, n)
		start := uintptr(unsafe.Pointer(&slice[0]))
		if start%64 != 0 {
			t.Errorf("tensor of %d bytes starts at address %#x, want a multiple of 64", n, start)
		}
		if len(a.Files()) == 1 && start < before {
			t.Errorf("tensor of %d bytes starts at %#x, within the one before, which ends at %#x", n, start, before)
		}
		before = start + uintptr(n)
		for i, b := range slice {
			if b != 0 {
				t.Fatalf("byte %d of a new tensor of %d = %d, want 0", i, n, b)
			}
		}
		for i := range slice {
			slice[i] = 0xff // shows up in the next tensor if they overlap
		}
		if cap(slice) != n {
			t.Errorf("capacity of a tensor of %d = %d: append would write into the next one", n, cap(slice))
		}
	}
}

func TestArenaGrows(t *testing.T) {
	t.Parallel()
	a := create(t, 1)
	first := makeTensor[float32](t, a, 3)
	first[2] = 7
	for range 100 {
		makeTensor[float32](t, a, 50_000)
	}
	if n := len(a.Files()); n < 2 || n > 12 {
		t.Errorf("an arena that grew from one page to 20 MB has %d files, want a few", n)
	}
	if first[2] != 7 {
		t.Errorf("the first tensor's element = %v after growing, want 7 as before", first[2])
	}
	if _, err := arena.Locate(a, first); err != nil {
		t.Errorf("Locate the first tensor after growing: %v", err)
	}
	size := a.Size()
	if err := a.Reserve(1 << 20); err != nil {
		t.Fatal(err)
	}
	if got := a.Size(); got != size+1<<20 {
		t.Errorf("Size after Reserve(1 MiB) = %d, want %d", got, size+1<<20)
	}
}

func TestFilesArePrivateAndRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a, err := arena.Create(folder, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(a.Files()[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 && os.PathSeparator == '/' {
		t.Errorf("mode = %o, want 600", got)
	}
	if want := fmt.Sprintf("bittern-arena-%d-", os.Getpid()); !strings.HasPrefix(info.Name(), want) {
		t.Errorf("name = %s, want it to begin with %s", info.Name(), want)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("after Close the folder holds %v (error %v), want nothing", left, err)
	}
	if _, err := arena.Make[float32](a, 1); err == nil {
		t.Error("Make in a closed arena = nil, want an error")
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestLocateRefuses(t *testing.T) {
	t.Parallel()
	a, other := create(t, 0), create(t, 0)
	inside := makeTensor[float32](t, a, 6)
	if _, err := arena.Locate(other, inside); !errors.Is(err, arena.ErrOutside) {
		t.Errorf("Locate in another arena = %v, want ErrOutside", err)
	}
	if _, err := arena.Locate(a, make([]float32, 6)); !errors.Is(err, arena.ErrOutside) {
		t.Errorf("Locate of a Go slice = %v, want ErrOutside", err)
	}
	if _, err := arena.Locate(nil, inside); !errors.Is(err, arena.ErrOutside) {
		t.Errorf("Locate in no arena = %v, want ErrOutside", err)
	}
	if _, err := arena.Locate(a, inside, 2, 4); err == nil || !strings.Contains(err.Error(), "needs 8 elements, but the slice has 6") {
		t.Errorf("Locate with the shape 2×4 of 6 elements = %v, want both sizes named", err)
	}
	tensor, err := arena.Locate(a, inside[2:5])
	if err != nil {
		t.Fatal(err)
	}
	inside[2] = 3
	mapping := new(arena.Mapping)
	defer mapping.Close()
	if got := view[float32](t, mapping, tensor); len(got) != 3 || got[0] != 3 {
		t.Errorf("part of a tensor seen through a mapping = %v, want 3 elements, the first 3", got)
	}
}

// TestViewRefuses feeds handles that a broken or hostile peer might send.
func TestViewRefuses(t *testing.T) {
	t.Parallel()
	a := create(t, 1)
	slice := makeTensor[float32](t, a, 8)
	good, err := arena.Locate(a, slice)
	if err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(t.TempDir(), "letters")
	if err := os.WriteFile(stray, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	size := int64(os.Getpagesize())
	for name, change := range map[string]func(*arena.Tensor){
		"another type":           func(h *arena.Tensor) { h.Type = arena.Int32 },
		"an unknown type":        func(h *arena.Tensor) { h.Type = 9 },
		"a negative size":        func(h *arena.Tensor) { h.Shape = []int{-1, -8} },
		"an immense shape":       func(h *arena.Tensor) { h.Shape = []int{math.MaxInt, 3} },
		"more than the file":     func(h *arena.Tensor) { h.Shape = []int{1 << 20} },
		"a negative offset":      func(h *arena.Tensor) { h.Offset = -64 },
		"an offset past the end": func(h *arena.Tensor) { h.Offset = size - 4 },
		"an immense offset":      func(h *arena.Tensor) { h.Offset = math.MaxInt64 - 3 },
		"an odd offset":          func(h *arena.Tensor) { h.Offset = 2 },
		"a missing file":         func(h *arena.Tensor) { h.File += "x" },
		"a file of another kind": func(h *arena.Tensor) { h.File = stray },
	} {
		tensor := good
		change(&tensor)
		mapping := new(arena.Mapping)
		if got, err := arena.View[float32](mapping, tensor); err == nil {
			t.Errorf("View of %s = %d elements, want an error", name, len(got))
		}
		if err := mapping.Close(); err != nil {
			t.Error(err)
		}
	}
	mapping := new(arena.Mapping)
	defer mapping.Close()
	good.Offset, good.Shape = size-32, []int{8}
	if got := view[float32](t, mapping, good); len(got) != 8 {
		t.Errorf("View of the file's last 8 elements = %d elements, want 8", len(got))
	}
}

// FuzzView checks that no handle leads outside the file: View either refuses it, or every
// element can be read.
func FuzzView(f *testing.F) {
	a, err := arena.Create(f.TempDir(), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := a.Close(); err != nil {
			f.Error(err)
		}
	})
	size := int64(os.Getpagesize())
	f.Add(int64(0), 1, 8, 4)
	f.Add(size-4, 1, 1, 1)
	f.Add(size, 4, 0, 1)
	f.Add(int64(-1), 2, -1, -1)
	f.Add(int64(math.MaxInt64), 3, math.MaxInt, math.MaxInt)
	f.Fuzz(func(t *testing.T, offset int64, kind, rows, cols int) {
		mapping := new(arena.Mapping)
		defer mapping.Close()
		tensor := arena.Tensor{File: a.Files()[0], Offset: offset, Type: arena.Type(kind), Shape: []int{rows, cols}}
		var elements, width int
		switch tensor.Type {
		case arena.Float32:
			elements, width = read[float32](mapping, tensor), 4
		case arena.Int32:
			elements, width = read[int32](mapping, tensor), 4
		case arena.Uint16:
			elements, width = read[uint16](mapping, tensor), 2
		default:
			elements, width = read[uint8](mapping, tensor), 1
		}
		if elements > 0 && offset+int64(elements*width) > size {
			t.Errorf("View(%+v) = %d elements, more than the file's %d bytes hold", tensor, elements, size)
		}
	})
}

// read reads every element of a tensor and returns how many there are.
func read[T arena.Element](mapping *arena.Mapping, tensor arena.Tensor) int {
	slice, err := arena.View[T](mapping, tensor)
	if err != nil {
		return 0
	}
	var sum T
	for _, v := range slice {
		sum += v
	}
	return len(slice) + int(0*sum)
}

func TestNoRoom(t *testing.T) {
	t.Parallel()
	const wanted = 1 << 50 // more than any machine's memory or disk
	_, err := arena.Create(t.TempDir(), wanted)
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.HasPrefix(problem.Sentence, "no room for a tensor arena of 1073741824 MiB in ") || !strings.Contains(problem.Sentence, "or set BITTERN_ARENA_FOLDER to a folder with more") {
		t.Errorf("Create of 1 PiB = %v, want a problem that says what to do", err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	_, err = arena.Create(missing, 1)
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "cannot create a tensor arena in "+missing) {
		t.Errorf("Create in a missing folder = %v, want a problem that names it", err)
	}
}

func TestNoRoomLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := arena.Create(folder, 1<<50); err == nil {
		t.Fatal("Create of 1 PiB = nil, want an error")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("the folder holds %v (error %v), want nothing", left, err)
	}
}

// TestSweep checks that Sweep keeps the files of living processes, this one among them, and
// removes those of dead ones, whatever process number their names have.
func TestSweep(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	owner := exec.Command(self)
	owner.Env = append(os.Environ(), ownerVariable+"="+folder)
	stdin, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var theirs string
	if _, err := fmt.Fscan(stdout, &theirs); err != nil {
		t.Fatal(err)
	}
	own, err := arena.Create(folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	// The process number of a dead owner was given to another process: this one.
	reused := filepath.Join(folder, fmt.Sprintf("bittern-arena-%d-left", os.Getpid()))
	foreign := filepath.Join(folder, "somebody-elses")
	for _, path := range []string{reused, foreign} {
		if err := os.WriteFile(path, make([]byte, 10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(want ...string) {
		t.Helper()
		got := arena.Sweep(folder)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("Sweep removed %q, want %q", got, want)
		}
	}
	sweep(reused)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // the error says that a signal ended it
	sweep(theirs)
	sweep()
	for _, path := range []string{own.Files()[0], foreign} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("after sweeping: %v, want %s still there", err, path)
		}
	}
}

// TestCreateWhileSweeping checks that no file is swept after it was made and before it is
// locked.
func TestCreateWhileSweeping(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			arena.Sweep(folder)
		}
	})
	for range 200 {
		a, err := arena.Create(folder, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(a.Files()[0]); err != nil {
			t.Errorf("a new arena's file: %v, want it there", err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	sweeping.Wait()
}

func TestFolder(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(arena.FolderVariable, folder)
	if got, err := arena.Folder(); err != nil || got != folder {
		t.Errorf("Folder() with %s set = %s (error %v), want %s", arena.FolderVariable, got, err, folder)
	}
	t.Setenv(arena.FolderVariable, "")
	parent := os.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil {
		parent = "/dev/shm"
	}
	got, err := arena.Folder()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(parent, fmt.Sprintf("bittern-%d", os.Geteuid())); !strings.HasPrefix(got, want) {
		t.Errorf("Folder() = %s, want %s", got, want)
	}
	info, err := os.Lstat(got)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() || os.PathSeparator == '/' && info.Mode().Perm() != 0o700 {
		t.Errorf("%s has the mode %s, want a folder for this user alone", got, info.Mode())
	}
}
