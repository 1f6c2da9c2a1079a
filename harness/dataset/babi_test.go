package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const stories = "1 Mary went to the kitchen.\n" +
	"2 Where is Mary? \tkitchen\t1\n" +
	"3 John, the cook, took it.\n" +
	"4 What does John carry?\tapple,Milk\t3 1\n" +
	"1 It rains.\n" +
	"2 Does it rain?\tyes\t1"

func TestParseStories(t *testing.T) {
	t.Parallel()
	got, err := ParseStories([]byte(stories), "name")
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.Fields("mary went to the kitchen ."), strings.Fields("john , the cook , took it .")
	want := []StoryQuestion{
		{2, 0, [][]string{first}, strings.Fields("where is mary ?"), "kitchen", []int{0}},
		{4, 0, [][]string{first, second}, strings.Fields("what does john carry ?"), "apple,milk", []int{1, 0}},
		{6, 1, [][]string{{"it", "rains", "."}}, strings.Fields("does it rain ?"), "yes", []int{0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseStoriesRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		words   []string
	}{
		"empty":             {"", []string{"name holds no question"}},
		"no question":       {"1 A b.\n", []string{"name holds no question"}},
		"no number":         {"1 A.b.\nMary went.\n", []string{"name line 2", `"Mary went."`}},
		"leading zero":      {"01 A b.\n", []string{"line 1", "a number and a space"}},
		"empty line":        {"1 A b.\n\n", []string{"line 2"}},
		"first number":      {"2 A b.\n", []string{"line 1", "its number is 2"}},
		"number skipped":    {"1 A b.\n3 C d.\n", []string{"line 2", "its number is 3, but after 1 comes 2"}},
		"no full stop":      {"1 A b\n", []string{"line 1", "full stop"}},
		"only a full stop":  {"1 .\n", []string{"line 1", "full stop"}},
		"carriage return":   {"1 A b.\r\n", []string{"line 1", "control character"}},
		"no question mark":  {"1 A b.\n2 Who\tx\t1\n", []string{"line 2", "question mark"}},
		"one tab":           {"1 A b.\n2 Who?\tx\n", []string{"line 2", "1 tabs"}},
		"three tabs":        {"1 A b.\n2 Who?\tx\t1\t\n", []string{"line 2", "3 tabs"}},
		"no answer":         {"1 A b.\n2 Who?\t\t1\n", []string{"line 2", "the answer is"}},
		"padded answer":     {"1 A b.\n2 Who?\tx \t1\n", []string{"line 2", "the answer is"}},
		"no support":        {"1 A b.\n2 Who?\tx\t\n", []string{"line 2", "support"}},
		"later support":     {"1 A b.\n2 Who?\tx\t3\n3 C d.\n", []string{"line 2", `support "3"`}},
		"question supports": {"1 A b.\n2 Who?\tx\t1\n3 Who?\tx\t2\n", []string{"line 3", `support "2"`}},
		"other story's":     {"1 A b.\n2 C d.\n1 E f.\n2 Who?\tx\t2\n", []string{"line 4", `support "2"`}},
	} {
		_, err := ParseStories([]byte(test.content), "name")
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

func FuzzParseStories(f *testing.F) {
	f.Add(stories)
	f.Add("1 A b.\n2 Who?\tx\t1\n3 C.\n4 Who?\ty\t3 1\n")
	f.Add("1 ?\t?\t1\n")
	f.Add("1 \xff.\n2 \xc3?\tx\t1")
	f.Fuzz(func(t *testing.T, content string) {
		questions, err := ParseStories([]byte(content), "name")
		if err != nil {
			wantProblem(t, err, "name")
			return
		}
		last := 0
		for _, q := range questions {
			if q.Line <= last || q.Line > strings.Count(content, "\n")+1 || len(q.Query) == 0 || q.Answer == "" || len(q.Support) == 0 {
				t.Errorf("%q was read as %+v", content, q)
			}
			last = q.Line
			for _, fact := range q.Support {
				if fact < 0 || fact >= len(q.Facts) || len(q.Facts[fact]) == 0 {
					t.Errorf("%q: line %d is supported by %d of %d facts", content, q.Line, fact, len(q.Facts))
				}
			}
		}
	})
}

// The published numbers: Weston et al. (2015).
func TestBabi(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for name, want := range map[string]struct{ tasks, train, test int }{
		"babi-en":     {20, 20 * 1_000, 20 * 1_000},
		"babi-en-10k": {19, 19 * 10_000, 19 * 1_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := LoadReading(t.Context(), ReadingRequest{Name: name, DataDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(r.Train) + len(r.Valid); len(r.Tasks) != want.tasks || got != want.train || len(r.Test) != want.test {
				t.Errorf("%d tasks, %d and %d questions; want %+v", len(r.Tasks), got, len(r.Test), want)
			}
			if share := float64(len(r.Valid)) / float64(want.train); share < 0.09 || share > 0.11 {
				t.Errorf("%d of %d training questions validate, want about a tenth", len(r.Valid), want.train)
			}
			if r.Entities != 0 || r.Synthetic || !slices.IsSorted(r.Vocabulary) || !slices.Contains(r.Answers, "football,apple") {
				t.Errorf("%d entities, synthetic %v, answers %q", r.Entities, r.Synthetic, r.Answers)
			}
			counts := make([]int, len(r.Tasks))
			for _, e := range r.Test {
				counts[e.Task]++
			}
			for task, n := range counts {
				if n != 1_000 {
					t.Errorf("%s has %d test questions, want 1000", r.Tasks[task], n)
				}
			}
		})
	}
}

func TestBabiChoosesTasks(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	r, err := LoadReading(t.Context(), ReadingRequest{Name: "babi-en", DataDir: dir, Tasks: []int{19, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"qa19_path-finding", "qa1_single-supporting-fact"}, r.Tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	e := r.Test[1_000] // the first of qa1
	got := []string{spell(r.Vocabulary, e.Document), spell(r.Vocabulary, e.Query), r.Answers[e.Answer], fmt.Sprint(e.Task)}
	if diff := cmp.Diff([]string{"john travelled to the hallway . mary journeyed to the bathroom .", "where is john ?", "hallway", "1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Contains(r.Answers, "n,w") || slices.Contains(r.Answers, "n") {
		t.Errorf("answers %q, want paths as one class each", r.Answers)
	}
	for name, test := range map[string]struct {
		request ReadingRequest
		words   []string
	}{
		"task 21":       {ReadingRequest{Name: "babi-en", DataDir: dir, Tasks: []int{21}}, []string{"no task 21"}},
		"twice":         {ReadingRequest{Name: "babi-en", DataDir: dir, Tasks: []int{2, 2}}, []string{"task 2 is named twice"}},
		"none":          {ReadingRequest{Name: "babi-en", DataDir: dir, Tasks: []int{}}, []string{"list of tasks is empty"}},
		"qa3 of 10,000": {ReadingRequest{Name: "babi-en-10k", DataDir: dir, Tasks: []int{3}}, []string{"no copy of qa3's training file", "leave out task 3 or use babi-en"}},
		"missing":       {ReadingRequest{Name: "babi-en", DataDir: t.TempDir(), Tasks: []int{1}}, []string{"babi-en is missing", filepath.Join("babi", "en", "qa1_")}},
	} {
		_, err := LoadReading(t.Context(), test.request)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}
