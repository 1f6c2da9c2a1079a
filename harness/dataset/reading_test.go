package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodQuestion = `http://example.org/story

@entity1 met @entity4 's friend . @entity12x slept

who did @placeholder meet ?

@entity4

@entity4:Ann: the first
@entity1:Bob
`

func TestParseQuestion(t *testing.T) {
	t.Parallel()
	want := &Question{
		URL:      "http://example.org/story",
		Document: strings.Fields("@entity1 met @entity4 's friend . @entity12x slept"),
		Query:    strings.Fields("who did @placeholder meet ?"),
		Answer:   4, Entities: []Entity{{4, "Ann: the first"}, {1, "Bob"}},
	}
	for _, content := range []string{goodQuestion, strings.TrimSuffix(goodQuestion, "\n")} {
		got, err := ParseQuestion([]byte(content), "name")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestParseQuestionRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to string // what to change in the good one
		words    []string
	}{
		"no list":          {"\n@entity4:Ann: the first\n@entity1:Bob\n", "", []string{"name line 7", "at least 9 lines"}},
		"no empty line":    {"story\n\n", "story\nmore\n", []string{"name line 2", `"more"`}},
		"no URL":           {"http://example.org/story", "", []string{"line 1", "URL is missing"}},
		"no document":      {"@entity1 met @entity4 's friend . @entity12x slept", "", []string{"line 3", "document is missing"}},
		"no question":      {"who did @placeholder meet ?", "", []string{"line 5", "question is missing"}},
		"no answer":        {"\n@entity4\n", "\n\n", []string{"line 7", "answer is missing"}},
		"answer a word":    {"\n@entity4\n", "\nAnn\n", []string{"line 7", `"Ann"`}},
		"answer unlisted":  {"\n@entity4\n", "\n@entity5\n", []string{"line 7", "@entity5 is not in the list"}},
		"marker unlisted":  {"friend", "@entity7", []string{"line 3", "@entity7 is not in the list"}},
		"query unlisted":   {"did", "@entity7", []string{"line 5", "@entity7 is not in the list"}},
		"no placeholder":   {"@placeholder", "she", []string{"line 5", "@placeholder 0 times"}},
		"two placeholders": {"who", "@placeholder", []string{"line 5", "@placeholder 2 times"}},
		"two spaces":       {"met ", "met  ", []string{"line 3", "space too many"}},
		"trailing space":   {"meet ?", "meet ? ", []string{"line 5", "space too many"}},
		"no name":          {"@entity1:Bob", "@entity1:", []string{"line 10", `"@entity1:" is no entity`}},
		"no colon":         {"@entity1:Bob", "@entity1 Bob", []string{"line 10", "is no entity"}},
		"leading zero":     {"@entity1:Bob", "@entity01:Bob", []string{"line 10", "is no entity"}},
		"huge number":      {"@entity1:Bob", "@entity65536:Bob", []string{"line 10", "is no entity"}},
		"twice":            {"@entity1:Bob", "@entity4:Bob", []string{"line 10", "@entity4 is listed twice"}},
		"empty at the end": {"@entity1:Bob\n", "@entity1:Bob\n\n", []string{"line 11", "is no entity"}},
		"too long":         {"friend", strings.Repeat("f", maxQuestionFile), []string{"more than 1048576 bytes"}},
	} {
		content := strings.Replace(goodQuestion, test.from, test.to, 1)
		_, err := ParseQuestion([]byte(content), "name")
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

// Whatever is read can be written and read again.
func FuzzParseQuestion(f *testing.F) {
	f.Add(goodQuestion)
	f.Add("u\n\nd\n\n@placeholder\n\n@entity0\n\n@entity0:x")
	f.Add("\n\n\n\n\n\n\n\n\n")
	f.Fuzz(func(t *testing.T, content string) {
		q, err := ParseQuestion([]byte(content), "name")
		if err != nil {
			wantProblem(t, err, "name")
			return
		}
		var list strings.Builder
		for _, e := range q.Entities {
			fmt.Fprintf(&list, "@entity%d:%s\n", e.Number, e.Name)
		}
		written := fmt.Sprintf("%s\n\n%s\n\n%s\n\n@entity%d\n\n%s", q.URL, strings.Join(q.Document, " "), strings.Join(q.Query, " "), q.Answer, list.String())
		if written != content && written != content+"\n" {
			t.Errorf("%q was read as %q", content, written)
		}
	})
}

// question writes a question file of a document and its answer.
func question(t *testing.T, folder, name, document string, answer int) {
	t.Helper()
	write(t, filepath.Join(folder, name+".question"), fmt.Appendf(nil,
		"u\n\n%s\n\n@placeholder ran\n\n@entity%d\n\n@entity2:Z\n@entity0:Y\n", document, answer))
}

func TestLoadQuestionFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var folders [3]string
	for i, part := range questionParts {
		folders[i] = filepath.Join(dir, part)
	}
	question(t, folders[0], "b", "@entity2 ran . ran fast", 2)
	question(t, folders[0], "a", "@entity0 sat .", 0)
	question(t, folders[1], "a", "@entity0 flew", 0)
	question(t, folders[2], "a", "@entity2 fast", 2)
	write(t, filepath.Join(folders[0], ".hidden"), nil)
	r, err := LoadQuestionFolders(t.Context(), folders, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"@entity0", "@entity1", "@entity2", Placeholder, Unknown, "ran", ".", "sat", "fast"}, r.Vocabulary); diff != "" {
		t.Errorf("vocabulary (-want +got):\n%s", diff)
	}
	if r.Entities != 3 || !slices.Equal(r.Answers, r.Vocabulary[:3]) || len(r.Train) != 2 || len(r.Valid) != 1 || len(r.Test) != 1 {
		t.Errorf("%d entities, answers %q, %d/%d/%d questions", r.Entities, r.Answers, len(r.Train), len(r.Valid), len(r.Test))
	}
	got := []string{spell(r.Vocabulary, r.Train[0].Document), spell(r.Vocabulary, r.Train[1].Query), spell(r.Vocabulary, r.Valid[0].Document), spell(r.Vocabulary, r.Test[0].Document)}
	if diff := cmp.Diff([]string{"@entity0 sat .", "@placeholder ran", "@entity0 <unk>", "@entity2 fast"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := r.Train[1]; e.Answer != 2 || !slices.Equal(e.Candidates, []int32{0, 2}) {
		t.Errorf("answer %d of %d, want 2 of [0 2]", e.Answer, e.Candidates)
	}
	few, err := LoadQuestionFolders(t.Context(), folders, 1, 2)
	if err != nil || len(few.Train) != 1 || len(few.Vocabulary) != 3+2+2 || few.SHA256 == r.SHA256 {
		t.Errorf("limited: %+v, %v; want one training question and two words", few, err)
	}

	// The published set is held to its numbers.
	published := filepath.Join(t.TempDir(), "cnn")
	if err := os.Mkdir(published, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(published, "questions")); err != nil {
		t.Fatal(err)
	}
	_, err = LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa", DataDir: filepath.Dir(published)})
	wantProblem(t, err, "training holds 2 questions, but 380298 were published")

	write(t, filepath.Join(folders[1], "b.question"), []byte("u\n"))
	_, err = LoadQuestionFolders(t.Context(), folders, 0, 0)
	wantProblem(t, err, filepath.Join("validation", "b.question")+" line 1")
	write(t, filepath.Join(folders[0], "notes.txt"), nil)
	_, err = LoadQuestionFolders(t.Context(), folders, 0, 0)
	wantProblem(t, err, "notes.txt is no .question file")
	folders[0] = filepath.Join(dir, "none")
	_, err = LoadQuestionFolders(t.Context(), folders, 0, 0)
	wantProblem(t, err, "none cannot be read")
	folders[0] = t.TempDir()
	_, err = LoadQuestionFolders(t.Context(), folders, 0, 0)
	wantProblem(t, err, "holds no .question file")
}

// The five real questions: lengths as the data's README counted them.
func TestCNNExamples(t *testing.T) {
	t.Parallel()
	r, err := LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa-examples", DataDir: dataDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	var lengths []int
	for _, e := range slices.Concat(r.Train, r.Valid, r.Test) {
		lengths = append(lengths, len(e.Document))
		if !slices.Contains(e.Candidates, e.Answer) {
			t.Errorf("the answer %d is no candidate of %v", e.Answer, e.Candidates)
		}
	}
	if !cmp.Equal(lengths, []int{1031, 464, 629, 1162, 503}) {
		t.Errorf("documents of %v tokens, want 1031, 464, 629, 1162, 503", lengths)
	}
	second := r.Train[1]
	if got := spell(r.Vocabulary, second.Query); got != `@placeholder : " my position with national team untenable "` || r.Answers[second.Answer] != "@entity0" {
		t.Errorf("the second question is %q, answered by %q", got, r.Answers[second.Answer])
	}
	if got := spell(r.Vocabulary, second.Document[:8]); got != "former @entity1 captain @entity0 has announced his retirement" {
		t.Errorf("its document begins with %q", got)
	}
	if r.Synthetic || !strings.Contains(r.Note, "train and test nothing") {
		t.Errorf("synthetic %v, note %q", r.Synthetic, r.Note)
	}
}

const jack = `{"meta": "m", "instances": [{"questions": [{"id": "q", "question": "@placeholder ran", "answers": [{"text": "@entity1"}]}],
	"support": {"id": "url", "text": "@entity1 ran"}}]}`

func TestParseJackQuestions(t *testing.T) {
	t.Parallel()
	got, err := ParseJackQuestions([]byte(jack), "name")
	if err != nil {
		t.Fatal(err)
	}
	want := []*Question{{URL: "url", Document: []string{"@entity1", "ran"}, Query: []string{"@placeholder", "ran"}, Answer: 1, Entities: []Entity{{Number: 1}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, test := range map[string]struct {
		from, to string
		words    []string
	}{
		"no JSON":       {jack, "[", []string{"name, byte"}},
		"unknown field": {`"meta"`, `"mega"`, []string{"name, byte", "mega"}},
		"more":          {jack, jack + "{}", []string{"more after the questions"}},
		"no document":   {`{"id": "url", "text": "@entity1 ran"}`, "null", []string{"instance 0 has no document"}},
		"two answers":   {`{"text": "@entity1"}`, `{"text": "a"}, {"text": "b"}`, []string{"question q has 2 answers"}},
		"bad answer":    {`"text": "@entity1"`, `"text": "he"`, []string{"question q", `"he"`}},
		"line break":    {`@entity1 ran"}`, `@entity1\n\nran"}`, []string{"question q"}},
	} {
		_, err := ParseJackQuestions([]byte(strings.Replace(jack, test.from, test.to, 1)), "name")
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

func FuzzParseJackQuestions(f *testing.F) {
	f.Add(jack)
	f.Add(`{"instances": [{}]}`)
	f.Add(`{"instances": [{"support": {"text": ""}, "questions": [{"answers": [{}]}]}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		questions, err := ParseJackQuestions([]byte(content), "name")
		if err != nil {
			wantProblem(t, err, "name")
		}
		for _, q := range questions {
			if !slices.Contains(q.Query, Placeholder) || len(q.Document) == 0 || !slices.Contains(q.Entities, Entity{Number: q.Answer}) {
				t.Errorf("%q was read as %+v", content, q)
			}
		}
	})
}

func TestLoadReadingRefuses(t *testing.T) {
	t.Parallel()
	_, err := LoadReading(t.Context(), ReadingRequest{Name: "babi"})
	wantProblem(t, err, `no data set of shape reading "babi"`)
	_, err = LoadReading(t.Context(), ReadingRequest{Name: "delayed-copy"})
	wantProblem(t, err, "delayed-copy is of shape sequence")
	_, err = LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa-standin", MaxTrain: -1})
	wantProblem(t, err, "-1 questions")
	_, err = LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa"})
	wantProblem(t, err, "--data")
	_, err = LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa", DataDir: t.TempDir()})
	wantProblem(t, err, "cnn-qa is missing", filepath.Join("cnn", "questions", "training"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := LoadReading(ctx, ReadingRequest{Name: "cnn-qa-standin"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
