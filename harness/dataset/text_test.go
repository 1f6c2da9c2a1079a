package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
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
func decode(text *Text, parts ...[]byte) string {
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

func gzipped(t testing.TB, content string) []byte {
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

// small is a text of one file, and write puts its files into a folder.
func small(content string) fileText {
	return fileText{trainPercent: 80, Set: Set{
		Name: "small", ByHand: "the origin",
		Sources: []Source{{Path: "folder/small.txt", Bytes: int64(len(content)), SHA256: digest(content)}},
	}}
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
			file = gzipped(t, content)
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
	c := fileText{Set: Set{Name: "spaced"}, spaced: true}
	for _, content := range []string{"a b a b a b _ \n ", "b c ", "c a "} {
		name := digest(content)
		c.Sources = append(c.Sources, Source{Path: name, Bytes: int64(len(content)), SHA256: digest(content)})
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
	damaged := gzipped(t, content)
	damaged[len(damaged)-8] ^= 1 // the checksum of gzip itself
	tests := map[string]struct {
		file  []byte
		words []string
	}{
		"missing":     {nil, []string{"small is missing", filepath.Join("folder", "small.txt.gz"), "the origin", "--data"}},
		"other text":  {gzipped(t, "some test"), []string{"has SHA-256 " + digest("some test"), digest(content) + " was expected", "the origin"}},
		"shorter":     {gzipped(t, content[:8]), []string{"has SHA-256 " + digest(content[:8])}},
		"longer":      {gzipped(t, content+strings.Repeat("!", 1<<20)), []string{"has SHA-256 " + digest(content+strings.Repeat("!", 1<<20))}},
		"empty":       {gzipped(t, ""), []string{"has SHA-256 " + digest("")}},
		"no gzip":     {[]byte(content), []string{"damaged", "fetch it again"}},
		"flipped bit": {damaged, []string{"damaged", "checksum"}},
		"truncated":   {gzipped(t, content)[:15], []string{"damaged", "unexpected EOF"}},
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
	wantProblem(t, err, `no data set of shape text "warpiece"`, `did you mean "warpeace"?`, "data list")
	_, err = Load(t.Context(), Request{Name: "grammar", MaxBytes: -1})
	wantProblem(t, err, "-1 bytes")
}

func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text8", "text8.first6877825"), nil)
	got := map[string]Info{}
	for _, s := range List(t.Context(), dir) {
		got[s.Name] = s
		if s.Summary == "" || s.Split == "" || s.Licence == "" {
			t.Errorf("%s: summary %q, split %q, licence %q", s.Name, s.Summary, s.Split, s.Licence)
		}
		if s.Present != (s.Missing == "") {
			t.Errorf("%s: present %v, but missing %q", s.Name, s.Present, s.Missing)
		}
	}
	for name, want := range map[string]bool{
		"grammar": true, "delayed-copy": true, "cnn-qa-standin": true, "text8-prefix": true, "text8": false, "warpeace": false, "ptb-char": false,
		"linux": false, "linux-standin": false, "ptb-word": false, "mnist": false, "cnn-qa": false, "babi-en": false,
	} {
		if s, ok := got[name]; !ok || s.Present != want {
			t.Errorf("%s: listed %v, present %v, want %v", name, ok, s.Present, want)
		}
	}
	if s := got["ptb-char"]; len(s.Where) != 3 || !strings.Contains(s.Missing, s.Where[0]) {
		t.Errorf("ptb-char: looked at %q, missing %q; want three files, the first named", s.Where, s.Missing)
	}
	if s := got["text8-prefix"]; len(s.Where) != 1 || s.Where[0] != filepath.Join(dir, "text8", "text8.first6877825") {
		t.Errorf("text8-prefix: found at %q, want the plain file", s.Where)
	}
	for name, want := range map[string]struct {
		status Status
		note   string
	}{
		"linux": {Published, ""}, "linux-standin": {StandIn, "stand-in"}, "text8": {Published, ""}, "text8-prefix": {Prefix, "prefix"},
		"grammar": {Generated, ""}, "cnn-qa-standin": {StandIn, "stand-in"}, "cnn-qa-examples": {Prefix, "prefix"},
		"babi-en-10k": {Published, "19 of the 20 tasks"},
	} {
		if s := got[name]; s.Status != want.status || !strings.Contains(s.Note, want.note) || want.note == "" && s.Note != "" {
			t.Errorf("%s: status %s, note %q; want %s and %q", name, s.Status, s.Note, want.status, want.note)
		}
	}
	files := map[string]string{} // no file belongs to two data sets
	for name, s := range got {
		for _, source := range s.Sources {
			if other, ok := files[source.Path]; ok {
				t.Errorf("%s belongs to %s and to %s", source.Path, name, other)
			}
			files[source.Path] = name
			if source.Bytes <= 0 || len(source.SHA256) != 64 && len(source.GitBlob) != 40 {
				t.Errorf("%s: %s has %d bytes, SHA-256 %q, git blob %q", name, source.Path, source.Bytes, source.SHA256, source.GitBlob)
			}
		}
		for _, d := range s.Downloads {
			if len(s.held(d)) == 0 || d.Bytes <= 0 || d.Packing != Plain && d.Packing != TarGzip && len(d.SHA256) != 64 {
				t.Errorf("%s: the download %+v holds no source, or has no size or SHA-256", name, d)
			}
		}
		if len(s.Sources) > 0 && (s.ByHand == "" || s.Described == "") {
			t.Errorf("%s: a user is not told how to get its files", name)
		}
	}
}

// The id that `git hash-object` gives to this text.
func TestGitBlob(t *testing.T) {
	t.Parallel()
	source := Source{Bytes: 12, GitBlob: "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"}
	_, found, err := source.readContent(strings.NewReader("hello world\n"), false)
	if algorithm, want := source.pin(); err != nil || found != want || algorithm != "git blob id" {
		t.Errorf("got %s, %v; want %s %s", found, err, algorithm, want)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	for want, sources := range map[string][]Source{
		"":                         nil,
		"abc":                      {{SHA256: "abc"}},
		digest("abc  x\ndef  y\n"): {{Path: "x", SHA256: "abc"}, {Path: "y", SHA256: "def"}},
	} {
		if got := (Set{Sources: append(sources, Source{GitBlob: "abc"})}).Digest(); got != "" {
			t.Errorf("digest of %v and a file without a SHA-256: got %q, want none", sources, got)
		}
		if got := (Set{Sources: sources}).Digest(); got != want {
			t.Errorf("digest of %v: got %q, want %q", sources, got, want)
		}
	}
}

func TestLoadText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := strings.Repeat("ab\xff\n", 25) // 100 bytes, not UTF-8
	plain, zipped := filepath.Join(dir, "my.txt"), filepath.Join(dir, "zipped.txt.gz")
	write(t, plain, []byte(content))
	write(t, zipped, gzipped(t, content))
	text, err := LoadText(plain, []float64{0.29, 0.01, 0.7}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := []int{len(text.Train), len(text.Valid), len(text.Test)}; !cmp.Equal(got, []int{29, 1, 70}) {
		t.Errorf("parts of %v symbols, want 29, 1, 70", got)
	}
	if got := decode(text, text.Train, text.Valid, text.Test); got != content || string(text.Vocabulary) != "\nab\xff" {
		t.Errorf("got %q with the symbols %q, want %q", got, text.Vocabulary, content)
	}
	if text.Name != "text:my.txt" || text.Split != "0.29/0.01/0.7 by position" || text.Synthetic || text.Bytes != 100 {
		t.Errorf("got %q, %q, synthetic %v, %d bytes", text.Name, text.Split, text.Synthetic, text.Bytes)
	}
	same, err := LoadText(zipped, []float64{0.29, 0.01, 0.7}, 0)
	if err != nil || same.SHA256 != text.SHA256 {
		t.Errorf("zipped: %v, %v; want the identity of the plain file", same, err)
	}
	other, err := LoadText(plain, []float64{0.7, 0.29, 0.01}, 0)
	if err != nil || other.SHA256 == text.SHA256 {
		t.Errorf("with another split: identity %s, %v; want another", other.SHA256, err)
	}
	capped, err := LoadText(plain, []float64{0.5, 0.25, 0.25}, 8)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(capped, capped.Train, capped.Valid, capped.Test); got != content[:8] || capped.Bytes != 8 || string(capped.Vocabulary) != "\nab\xff" ||
		capped.Note != "the first 8 of 100 characters" {
		t.Errorf("capped: got %q of the symbols %q, note %q; want 8 bytes of the whole text's alphabet, and a note that says so", got, capped.Vocabulary, capped.Note)
	}
	for name, test := range map[string]struct {
		path  string
		split []float64
		words []string
	}{
		"two fractions": {plain, []float64{0.9, 0.1}, []string{"2 fractions", "[0.9, 0.05, 0.05]"}},
		"zero":          {plain, []float64{1, 0, 0}, []string{"holds 1;"}},
		"not a number":  {plain, []float64{math.NaN(), 0.5, 0.5}, []string{"NaN"}},
		"sum":           {plain, []float64{0.9, 0.05, 0.06}, []string{"adds up to 1.01"}},
		"empty part":    {plain, []float64{0.995, 0.001, 0.004}, []string{"100 bytes", "part empty"}},
		"missing":       {filepath.Join(dir, "none"), []float64{0.9, 0.05, 0.05}, []string{"none", "no such file"}},
		"folder":        {dir, []float64{0.9, 0.05, 0.05}, []string{"is a directory"}},
	} {
		_, err := LoadText(test.path, test.split, 0)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
	damaged := filepath.Join(dir, "damaged.gz")
	write(t, damaged, gzipped(t, content)[:20])
	_, err = LoadText(damaged, []float64{0.9, 0.05, 0.05}, 0)
	wantProblem(t, err, "damaged.gz", "unexpected EOF")
}

// Whatever a file holds, no more than size+1 bytes are kept, and they are the
// beginning of what the checksum is of.
func FuzzReadContent(f *testing.F) {
	f.Add(gzipped(f, "some text"), 4)
	f.Add(append(gzipped(f, "two"), gzipped(f, "members")...), 100)
	f.Add([]byte{0x1f, 0x8b}, 1)
	f.Fuzz(func(t *testing.T, file []byte, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		content, sum, err := Source{Bytes: int64(size), SHA256: "any"}.readContent(bytes.NewReader(file), true)
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
