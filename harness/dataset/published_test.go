package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dataDir returns the folder of the real data sets beside the project.
func dataDir(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(root); parent != root {
			root = parent
			continue
		}
		t.Fatal("there is no go.mod above the test")
	}
	dir := filepath.Join(root, "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped the published texts: ../shared/data is not there")
	}
	return dir
}

// The published lengths and alphabets: Karpathy, Johnson and Fei-Fei (2015) for
// War and Peace and Linux, Mikolov et al. (2012) for Penn Treebank. The splits by
// position follow from the lengths.
func TestPublishedTexts(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for name, want := range map[string]struct {
		parts      []int
		vocabulary int
		begins     string // the first bytes of the training part
		note       string
	}{
		"warpeace":      {[]int{2_606_596, 325_825, 325_825}, 87, "\xef\xbb\xbf", ""},
		"ptb-char":      {[]int{5_017_482, 393_042, 442_423}, 50, "aer_banknote_berlitz_", ""},
		"linux-standin": {[]int{5_586_296, 310_350, 310_350}, 101, "", "stand-in"},
		"text8-prefix":  {[]int{6_190_042, 343_891, 343_892}, 27, " anarchism originated as a term", "prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := Load(t.Context(), Request{Name: name, DataDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if got := []int{len(text.Train), len(text.Valid), len(text.Test)}; !cmp.Equal(got, want.parts) {
				t.Errorf("parts of %v symbols, want %v", got, want.parts)
			}
			if len(text.Vocabulary) != want.vocabulary {
				t.Errorf("%d symbols in the vocabulary, want %d: %q", len(text.Vocabulary), want.vocabulary, text.Vocabulary)
			}
			if got := decode(text, text.Train[:100]); !strings.HasPrefix(got, want.begins) {
				t.Errorf("begins with %q, want %q", got, want.begins)
			}
			if !strings.Contains(text.Note, want.note) || (want.note == "" && text.Note != "") {
				t.Errorf("note %q, want %q", text.Note, want.note)
			}
			for _, s := range List(t.Context(), dir) {
				if s.Name == name && (!s.Present || !cmp.Equal(s.Parts, want.parts) || s.Vocabulary != want.vocabulary) {
					t.Errorf("listed as %+v, want %+v", s, want)
				}
			}
		})
	}
}
