package runfolder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bittern/plugins"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantProblem(t *testing.T, err error, part string) {
	t.Helper()
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.Contains(problem.Sentence, part) {
		t.Errorf("error = %v, want a *plugins.Problem with %q", err, part)
	}
}

func write(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	outside, inside := t.TempDir(), filepath.Join(t.TempDir(), "runs", "folder")
	must(t, os.WriteFile(filepath.Join(outside, "file"), []byte("outside"), 0o600))
	folder, err := Make(inside)
	must(t, err)
	defer folder.Close()
	must(t, os.Symlink(outside, inside+"-link"))
	for name, open := range map[string]func(string) (*os.Root, error){"Open": Open, "Make": Make} {
		if _, err := open(inside + "-link"); err == nil {
			t.Errorf("%s followed a link", name)
		} else {
			wantProblem(t, err, "is a symbolic link")
		}
	}
	must(t, os.Symlink(filepath.Join(outside, "file"), filepath.Join(inside, "file")))
	_, err = OpenFile(folder, "file", os.O_RDWR)
	wantProblem(t, err, "is a symbolic link")
	_, err = ReadFile(folder, "file")
	wantProblem(t, err, "is a symbolic link")
	// Replace and RemoveIf work on the link itself.
	must(t, Replace(folder, "file", write("inside")))
	if got, err := ReadFile(folder, "file"); err != nil || string(got) != "inside" {
		t.Errorf("after Replace: %q, %v, want inside", got, err)
	}
	must(t, os.Symlink(filepath.Join(outside, "file"), filepath.Join(inside, ".file-left")))
	must(t, Sweep(folder, "file"))
	if got, err := os.ReadFile(filepath.Join(outside, "file")); err != nil || string(got) != "outside" {
		t.Errorf("the file outside holds %q, %v, want what it held", got, err)
	}
	entries, err := os.ReadDir(inside)
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v, want the one file", entries, err)
	}
	must(t, syscall.Mkfifo(filepath.Join(inside, "pipe"), 0o600))
	_, err = ReadFile(folder, "pipe") // reading would wait forever
	wantProblem(t, err, "not a regular file")
}

func TestReplaceLeavesTheFileAsItWas(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	folder, err := Open(path)
	must(t, err)
	defer folder.Close()
	must(t, Replace(folder, "file", write("first")))
	broken := errors.New("broken")
	if err := Replace(folder, "file", func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Replace = %v, want %v", err, broken)
	}
	if got, err := ReadFile(folder, "file"); err != nil || string(got) != "first" {
		t.Errorf("the file holds %q, %v, want first", got, err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v, want the one file", entries, err)
	}
	if _, err := Open(filepath.Join(path, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing = %v, want %v", err, fs.ErrNotExist)
	}
}

func TestTemporaryFoldersLeftBehindAreSwept(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	used, remove, err := Temporary(dir, "demo-")
	must(t, err)
	left, young, other := filepath.Join(dir, "demo-left"), filepath.Join(dir, "demo-young"), filepath.Join(dir, "other-left")
	for _, path := range []string{left, young, other} {
		must(t, os.MkdirAll(filepath.Join(path, "sub"), 0o700))
	}
	link := filepath.Join(dir, "demo-link")
	must(t, os.Symlink(outside, link))
	old := time.Now().Add(-2 * settling)
	for _, path := range []string{used, left, other, outside} {
		must(t, os.Chtimes(path, old, old))
	}
	second, removeSecond, err := Temporary(dir, "demo-")
	must(t, err)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	for _, path := range []string{used, young, other, link, outside, second} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s is gone: %v", path, err)
		}
	}
	must(t, remove())
	must(t, removeSecond())
	for _, path := range []string{used, second} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}
