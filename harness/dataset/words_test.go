package dataset

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func wordFiles(train, valid, test string) [3]wordFile {
	return [3]wordFile{{"train.txt", []byte(train)}, {"valid.txt", []byte(valid)}, {"test.txt", []byte(test)}}
}

// spell turns word ids back into words.
func spell(vocabulary []string, ids []int32) string {
	var words []string
	for _, id := range ids {
		words = append(words, vocabulary[id])
	}
	return strings.Join(words, " ")
}

func TestParseWords(t *testing.T) {
	t.Parallel()
	words, err := parseWords(wordFiles(" the <unk> sat \n the\tmat\r\n\n", "the caf\xe9", "mat\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{spell(words.Vocabulary, words.Train), spell(words.Vocabulary, words.Valid), spell(words.Vocabulary, words.Test)}
	if diff := cmp.Diff([]string{"the <unk> sat <eos> the mat <eos> <eos>", "the <unk> <eos>", "mat <eos>"}, got); diff != "" {
		t.Errorf("train, valid, test (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"the", "<unk>", "sat", "<eos>", "mat"}, words.Vocabulary); diff != "" {
		t.Errorf("vocabulary by first appearance (-want +got):\n%s", diff)
	}
	moved, err := parseWords(wordFiles(" the <unk> sat \n the\tmat\r\n", "\nthe caf\xe9", "mat\n"))
	if err != nil || moved.SHA256 == words.SHA256 {
		t.Errorf("with a line moved from train to valid: identity %v, %v; want another", moved, err)
	}
}

func TestParseWordsRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files [3]wordFile
		words []string
	}{
		"empty":         {wordFiles("a\n", "", "a\n"), []string{"valid.txt is empty"}},
		"unknown":       {wordFiles("a b\n", "a\nb c\n", "a\n"), []string{"valid.txt line 2", `"c"`, "train.txt", Unknown}},
		"unknown test":  {wordFiles("a b\n", "a\n", "\n\nd"), []string{"test.txt line 3", `"d"`}},
		"end marker":    {wordFiles("a\na <eos> b\n", "a\n", "a\n"), []string{"train.txt line 2", EndOfSentence}},
		"control":       {wordFiles("a\nb\x00c\n", "a\n", "a\n"), []string{"train.txt line 2", `"b\x00c"`}},
		"no words":      {wordFiles("a\n"+strings.Repeat("x", maxWord+1), "a\n", "a\n"), []string{"train.txt line 2", "1025 bytes"}},
		"lone return":   {wordFiles("a\rb\n", "a\n", "a\n"), []string{"train.txt line 1", `\r`}},
		"end of a line": {wordFiles("a\n", "a\n", "b"), []string{"test.txt line 1"}},
	} {
		_, err := parseWords(test.files)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

func TestLoadWordFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	train, valid, test := filepath.Join(dir, "train.txt.gz"), filepath.Join(dir, "valid.txt"), filepath.Join(dir, "test.txt")
	write(t, train, gzipped(t, "one two\n"))
	write(t, valid, []byte("two\n"))
	write(t, test, []byte("one\n"))
	words, err := LoadWordFiles(train, valid, test)
	if err != nil {
		t.Fatal(err)
	}
	if len(words.Train) != 3 || words.Name != "words:train.txt.gz" || words.Split != "by file" {
		t.Errorf("got %+v", words)
	}
	_, err = LoadWordFiles(train, filepath.Join(dir, "none"), test)
	wantProblem(t, err, "none", "no such file")
}

// The published numbers: Mikolov et al. (2010), Zaremba et al. (2014).
func TestPennTreebankWords(t *testing.T) {
	t.Parallel()
	words, err := LoadWords(t.Context(), "ptb-word", dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := []int{len(words.Train), len(words.Valid), len(words.Test), len(words.Vocabulary)}; !cmp.Equal(got, []int{929_589, 73_760, 82_430, 10_000}) {
		t.Errorf("got %v tokens and words, want 929589, 73760, 82430 and 10000", got)
	}
	if got := spell(words.Vocabulary, words.Valid[:9]); got != "consumers may want to move their telephones a little" {
		t.Errorf("valid begins with %q", got)
	}
	if words.Vocabulary[0] != "aer" || words.Vocabulary[24] != EndOfSentence {
		t.Errorf("the vocabulary begins with %q", words.Vocabulary[:25])
	}
	_, err = LoadWords(t.Context(), "ptb-wort", "")
	wantProblem(t, err, `"ptb-wort", did you mean "ptb-word"?`)
	_, err = LoadWords(t.Context(), "mnist", "")
	wantProblem(t, err, "mnist is of shape images")
	_, err = LoadWords(t.Context(), "ptb-word", t.TempDir())
	wantProblem(t, err, "ptb-word is missing")
}

// Whatever the files hold, ids are in the vocabulary, lines are counted, and
// refusals are Problems.
func FuzzParseWords(f *testing.F) {
	f.Add("the cat\nsat\n", "the", "sat\n")
	f.Add("a <unk>\r\n\n", "z\t", " ")
	f.Add("a\x00", "b", "c")
	f.Add("<eos>", "b", "c")
	f.Fuzz(func(t *testing.T, train, valid, test string) {
		words, err := parseWords(wordFiles(train, valid, test))
		if err != nil {
			wantProblem(t, err, ".txt")
			return
		}
		for i, part := range [][]int32{words.Train, words.Valid, words.Test} {
			text := []string{train, valid, test}[i]
			ends := 0
			for _, id := range part {
				if words.Vocabulary[id] == EndOfSentence {
					ends++
				}
			}
			if lines := strings.Count(text+"\n", "\n"); ends != lines && ends != lines-1 {
				t.Errorf("%q: %d ends of lines in %q", text, ends, spell(words.Vocabulary, part))
			}
		}
	})
}
