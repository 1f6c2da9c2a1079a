package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
)

func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	var problem *plugins.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("got %v, want a Problem with %q", err, words)
	}
	for _, word := range words {
		if !strings.Contains(problem.Sentence, word) {
			t.Errorf("got %q, want it to contain %q", problem.Sentence, word)
		}
	}
}

// decode turns symbol ids back into bytes.
func decode(text *Text, parts ...[]int32) string {
	var symbols []byte
	for _, part := range parts {
		for _, id := range part {
			symbols = append(symbols, text.Vocabulary[id])
		}
	}
	return string(symbols)
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func zip(t testing.TB, content string) []byte {
	t.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.Bytes()
}

// small is a corpus of one file, and write puts its files into a folder.
func small(content string) fileCorpus {
	return fileCorpus{
		name: "small", trainPercent: 80, origin: "the origin",
		sources: []Source{{"folder/small.txt", int64(len(content)), digest(content)}},
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOneFile(t *testing.T) {
	t.Parallel()
	const content = "\xef\xbb\xbfhello, hello\r\n" // 17 bytes: 13 / 2 / 2
	for _, name := range []string{"small.txt", "small.txt.gz"} {
		dir := t.TempDir()
		file := []byte(content)
		if strings.HasSuffix(name, ".gz") {
			file = zip(t, content)
		}
		write(t, filepath.Join(dir, "folder", name), file)
		text, err := small(content).load(t.Context(), dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(text, text.Train, text.Valid, text.Test); got != content {
			t.Errorf("%s: got %q, want %q", name, got, content)
		}
		if got := []int{len(text.Train), len(text.Valid), len(text.Test)}; !cmp.Equal(got, []int{13, 2, 2}) {
			t.Errorf("%s: parts of %v symbols, want 13, 2, 2", name, got)
		}
		if got, want := string(text.Vocabulary), "\n\r ,ehlo\xbb\xbf\xef"; got != want {
			t.Errorf("%s: vocabulary %q, want %q", name, got, want)
		}
		if text.SHA256 != digest(content) || text.Bytes != 17 || text.Split != "80/10/10 by position" || text.Note != "" || text.Synthetic {
			t.Errorf("%s: got %s of %d bytes, %q, %q, synthetic %v", name, text.SHA256, text.Bytes, text.Split, text.Note, text.Synthetic)
		}
	}
}

func TestCapKeepsTheAlphabet(t *testing.T) {
	t.Parallel()
	const content = "aaaaaaaaaaaaaaaaaaaaz"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "folder", "small.txt"), []byte(content))
	text, err := small(content).load(t.Context(), dir, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(text, text.Train, text.Valid, text.Test); got != content[:10] || text.SHA256 != digest(got) || text.Bytes != 10 {
		t.Errorf("got %q, %s of %d bytes", got, text.SHA256, text.Bytes)
	}
	if string(text.Vocabulary) != "az" || text.Note != "the first 10 of 21 characters" {
		t.Errorf("vocabulary %q, note %q", text.Vocabulary, text.Note)
	}
	for _, more := range []int{21, 1 << 40} {
		if text, err := small(content).load(t.Context(), dir, more); err != nil || text.Bytes != 21 || text.Note != "" {
			t.Errorf("cap %d: got %d bytes, note %q, %v; want all", more, text.Bytes, text.Note, err)
		}
	}
}

func TestThreeSpacedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := fileCorpus{name: "spaced", spaced: true}
	for _, content := range []string{"a b a b a b _ \n ", "b c ", "c a "} {
		name := digest(content)
		c.sources = append(c.sources, Source{name, int64(len(content)), digest(content)})
		write(t, filepath.Join(dir, name), []byte(content))
	}
	text, err := c.load(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{decode(text, text.Train), decode(text, text.Valid), decode(text, text.Test), string(text.Vocabulary), text.SHA256}
	if diff := cmp.Diff([]string{"ababab_\n", "bc", "ca", "\n_abc", digest("ababab_\nbcca")}, got); diff != "" {
		t.Errorf("train, valid, test, vocabulary, checksum (-want +got):\n%s", diff)
	}
	capped, err := c.load(t.Context(), dir, 6) // half of 12
	if err != nil {
		t.Fatal(err)
	}
	got = []string{decode(capped, capped.Train), decode(capped, capped.Valid), decode(capped, capped.Test)}
	if diff := cmp.Diff([]string{"abab", "b", "c"}, got); diff != "" {
		t.Errorf("half of each part (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const content = "some text"
	damaged := zip(t, content)
	damaged[len(damaged)-8] ^= 1 // the checksum of gzip itself
	tests := map[string]struct {
		file  []byte
		words []string
	}{
		"missing":     {nil, []string{"small is missing", filepath.Join("folder", "small.txt.gz"), "the origin", "--data"}},
		"other text":  {zip(t, "some test"), []string{"has SHA-256 " + digest("some test"), digest(content) + " was expected", "the origin"}},
		"shorter":     {zip(t, content[:8]), []string{"has SHA-256 " + digest(content[:8])}},
		"longer":      {zip(t, content+strings.Repeat("!", 1<<20)), []string{"has SHA-256 " + digest(content+strings.Repeat("!", 1<<20))}},
		"empty":       {zip(t, ""), []string{"has SHA-256 " + digest("")}},
		"no gzip":     {[]byte(content), []string{"damaged", "fetch it again"}},
		"flipped bit": {damaged, []string{"damaged", "checksum"}},
		"truncated":   {zip(t, content)[:15], []string{"damaged", "unexpected EOF"}},
		"empty file":  {[]byte{}, []string{"damaged"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.file != nil {
				write(t, filepath.Join(dir, "folder", "small.txt.gz"), test.file)
			}
			_, err := small(content).load(t.Context(), dir, 0)
			wantProblem(t, err, test.words...)
		})
	}
	t.Run("no folder named", func(t *testing.T) {
		t.Parallel()
		_, err := small(content).load(t.Context(), "", 0)
		wantProblem(t, err, "folder/small.txt.gz", "--data")
	})
	t.Run("a folder in place of the file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "folder", "small.txt.gz"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := small(content).load(t.Context(), dir, 0)
		wantProblem(t, err, "missing")
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, name := range []string{"warpeace", "grammar", "gostd"} {
			if _, err := Load(ctx, Request{Name: name, DataDir: "absent"}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want %v", name, err, context.Canceled)
			}
		}
	})
}

func TestLoadUnknown(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), Request{Name: "warpiece"})
	wantProblem(t, err, `no corpus "warpiece"`, `did you mean "warpeace"?`, "data list")
	_, err = Load(t.Context(), Request{Name: "grammar", MaxBytes: -1})
	wantProblem(t, err, "-1 bytes")
}

func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text8", "text8.first6877825"), nil)
	got := map[string]Status{}
	for _, s := range List(t.Context(), dir) {
		got[s.Name] = s
		if s.Summary == "" || s.Split == "" || s.Licence == "" {
			t.Errorf("%s: summary %q, split %q, licence %q", s.Name, s.Summary, s.Split, s.Licence)
		}
		if s.Present != (s.Missing == "") {
			t.Errorf("%s: present %v, but missing %q", s.Name, s.Present, s.Missing)
		}
	}
	for name, want := range map[string]bool{"grammar": true, "text8": true, "warpeace": false, "ptb-char": false, "linux": false} {
		if s, ok := got[name]; !ok || s.Present != want {
			t.Errorf("%s: listed %v, present %v, want %v", name, ok, s.Present, want)
		}
	}
	if s := got["ptb-char"]; len(s.Where) != 3 || !strings.Contains(s.Missing, s.Where[0]) {
		t.Errorf("ptb-char: looked at %q, missing %q; want three files, the first named", s.Where, s.Missing)
	}
	if s := got["text8"]; len(s.Where) != 1 || s.Where[0] != filepath.Join(dir, "text8", "text8.first6877825") {
		t.Errorf("text8: found at %q, want the plain file", s.Where)
	}
	for name, word := range map[string]string{"linux": "stand-in", "text8": "prefix", "grammar": "synthetic"} {
		if s := got[name]; !strings.Contains(s.Note, word) {
			t.Errorf("%s: note %q, want it to say %q", name, s.Note, word)
		}
	}
}

// Whatever a file holds, no more than size+1 bytes are kept, and they are the
// beginning of what the checksum is of.
func FuzzReadContent(f *testing.F) {
	f.Add(zip(f, "some text"), 4)
	f.Add(append(zip(f, "two"), zip(f, "members")...), 100)
	f.Add([]byte{0x1f, 0x8b}, 1)
	f.Fuzz(func(t *testing.T, file []byte, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		content, sum, err := readContent(bytes.NewReader(file), true, int64(size))
		if err != nil {
			return
		}
		if len(content) > size+1 {
			t.Errorf("kept %d bytes of a file of %d", len(content), size)
		}
		if len(content) <= size && sum != digest(string(content)) {
			t.Errorf("checksum %s of %q, want %s", sum, content, digest(string(content)))
		}
	})
}
