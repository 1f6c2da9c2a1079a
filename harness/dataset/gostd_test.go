package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGoStandardLibrary(t *testing.T) {
	t.Parallel()
	text, err := Load(t.Context(), Request{Name: "gostd"})
	if err != nil {
		t.Fatal(err)
	}
	if text.Synthetic {
		t.Skip("skipped the Go standard library: ", text.Note)
	}
	if text.Bytes < 1_500_000 || text.Bytes > 3_000_000 {
		t.Errorf("%d bytes, want about 2 MB", text.Bytes)
	}
	whole := decode(text, text.Train, text.Valid, text.Test)
	if len(whole) != text.Bytes || digest(whole) != text.SHA256 {
		t.Errorf("%d bytes with SHA-256 %s, want %d with %s", len(whole), digest(whole), text.Bytes, text.SHA256)
	}
	// One declaration of the first package, one of the last, and none of a test.
	for words, want := range map[string]bool{
		"func NewReaderSize(rd io.Reader, size int) *Reader": true,
		"func ParseDuration(s string) (Duration, error)":     true,
		"\nfunc TestReader(t *testing.T)":                    false,
	} {
		if got := strings.Contains(whole, words); got != want {
			t.Errorf("%q: found %v, want %v", words, got, want)
		}
	}
	again, err := Load(t.Context(), Request{Name: "gostd", MaxBytes: 12_345})
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(again, again.Train, again.Valid, again.Test); got != whole[:12_345] {
		t.Error("capped, it is not the beginning of the whole")
	}
	if diff := cmp.Diff(text.Vocabulary, again.Vocabulary); diff != "" {
		t.Errorf("capped, the vocabulary changed (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(text.Note, "standard library of go1.") {
		t.Errorf("note %q, want the release", text.Note)
	}
}

// fakeGo puts a go command with the given script first, and only, on PATH.
func fakeGo(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
}

func TestWithoutToolchain(t *testing.T) {
	for name, test := range map[string]struct{ script, reason string }{
		"no go":       {"", "no go command on PATH"},
		"failing go":  {"exit 3\n", "exit status 3"},
		"short reply": {"echo one\n", `answered "one\n"`},
		"no sources":  {"echo /nowhere\necho go1.99\n", "no sources in " + filepath.Join("/nowhere", "src")},
	} {
		t.Run(name, func(t *testing.T) {
			fakeGo(t, test.script)
			text, err := Load(t.Context(), Request{Name: "gostd", MaxBytes: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if text.Name != "grammar" || !text.Synthetic || text.Bytes != 1000 {
				t.Errorf("got %s, synthetic %v, %d bytes; want 1000 of the grammar", text.Name, text.Synthetic, text.Bytes)
			}
			for _, word := range []string{"in place of gostd", test.reason} {
				if !strings.Contains(text.Note, word) {
					t.Errorf("note %q, want it to contain %q", text.Note, word)
				}
			}
			for _, s := range List(t.Context(), "") {
				if s.Name == "gostd" && (s.Present || !strings.Contains(s.Missing, test.reason)) {
					t.Errorf("listed as present %v, missing %q; want %q", s.Present, s.Missing, test.reason)
				}
			}
		})
	}
}

func TestDamagedToolchain(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "src"), 0o700); err != nil {
		t.Fatal(err)
	}
	fakeGo(t, "echo "+root+"\necho go1.99\n")
	_, err := Load(t.Context(), Request{Name: "gostd"})
	wantProblem(t, err, "go1.99", "bufio", "repair the Go installation")
}
