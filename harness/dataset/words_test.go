package dataset

import (
	"path/filepath"
	"slices"
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

func TestLoadWordText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.txt.gz")
	write(t, path, gzipped(t, "b a a\r\nc a b\n\nd c e")) // 13 words with the ends
	split := []float64{0.5, 0.25, 0.25}
	words, err := LoadWordText(path, split, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{spell(words.Vocabulary, words.Train), spell(words.Vocabulary, words.Valid), spell(words.Vocabulary, words.Test)}
	if diff := cmp.Diff([]string{"b a a <eos> c a", "b <eos> <eos>", "<unk> c <unk> <eos>"}, got); diff != "" {
		t.Errorf("train, valid, test (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"<eos>", "<unk>", "a", "b", "c"}, words.Vocabulary); diff != "" || words.Name != "words:my.txt.gz" || words.Split != "0.5/0.25/0.25 by position" {
		t.Errorf("%s, %s, vocabulary by frequency (-want +got):\n%s", words.Name, words.Split, diff)
	}
	cut, err := LoadWordText(path, split, 4)
	if err != nil || spell(cut.Vocabulary, cut.Train) != "b a a <eos> <unk> a" || cut.SHA256 == words.SHA256 {
		t.Errorf("a vocabulary of 4: %+v, %v, want c to be unknown and another identity", cut, err)
	}
	other, err := LoadWordText(path, []float64{0.4, 0.35, 0.25}, 0)
	if err != nil || other.SHA256 == words.SHA256 {
		t.Errorf("another split: %+v, %v, want another identity", other, err)
	}
	_, err = LoadWordText(path, split, 2)
	wantProblem(t, err, "a vocabulary of 2 words", "at least 3")
	_, err = LoadWordText(path, []float64{0.5, 0.5}, 0)
	wantProblem(t, err, "2 fractions; give three")
	_, err = LoadWordText(path, []float64{0.98, 0.01, 0.01}, 0)
	wantProblem(t, err, "my.txt.gz has 13 words", "leaves a part empty")
	_, err = LoadWordText(path+"none", split, 0)
	wantProblem(t, err, "none", "no such file")
	bad := filepath.Join(t.TempDir(), "bad.txt")
	write(t, bad, []byte("a\nb\x00\n"))
	_, err = LoadWordText(bad, split, 0)
	wantProblem(t, err, "bad.txt line 2", "control character")
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

// Whatever a text of the user's own holds, its words are kept in order or unknown,
// the vocabulary has its size, and refusals are Problems.
func FuzzParseWordText(f *testing.F) {
	f.Add("the cat\nsat on the mat\n", uint8(4))
	f.Add("a <unk>\r\n\nb\tc", uint8(0))
	f.Add("a\x00", uint8(9))
	f.Add(" <eos>", uint8(9))
	f.Fuzz(func(t *testing.T, text string, most uint8) {
		words, err := parseWordText(wordFile{"my.txt", []byte(text)}, []float64{0.5, 0.25, 0.25}, 3+int(most))
		if err != nil {
			wantProblem(t, err, "my.txt")
			return
		}
		if len(words.Vocabulary) > 3+int(most) {
			t.Errorf("%q: %d words in a vocabulary of %d", text, len(words.Vocabulary), 3+int(most))
		}
		var want []string
		for line := range strings.Lines(text) {
			want = append(append(want, strings.FieldsFunc(strings.TrimRight(line, "\r\n"), func(r rune) bool { return r == ' ' || r == '\t' })...), EndOfSentence)
		}
		all := slices.Concat(words.Train, words.Valid, words.Test)
		if len(all) != len(want) {
			t.Fatalf("%q: %d words, want %d", text, len(all), len(want))
		}
		for i, id := range all {
			if got := words.Vocabulary[id]; got != want[i] && (got != Unknown || slices.Contains(words.Vocabulary, want[i])) {
				t.Errorf("%q: word %d is %q, want %q", text, i, got, want[i])
			}
		}
	})
}
