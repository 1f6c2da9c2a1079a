package task_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/network"
)

// The vocabulary of the made-up questions: 6 entities, the word "w", and a word for
// each question of each part, which stands at the end of the question only and tells
// the questions apart.
const (
	entities = 6
	word     = entities
	firstOwn = entities + 1
)

// asked makes questions for each part. Question i of all has a document of 1 + 5i mod 11
// words that ends in entities; with clozes it has three of the entities as candidates.
func asked(clozes bool, tasks []string, parts ...int) *dataset.Reading {
	r := &dataset.Reading{Name: "asked", Tasks: tasks, Vocabulary: make([]string, firstOwn), Answers: []string{"0", "1", "2", "3", "4", "5"}}
	if clozes {
		r.Entities = entities
	}
	for part, into := range []*[]dataset.Example{&r.Train, &r.Valid, &r.Test} {
		for i := range parts[part] {
			own := int32(len(r.Vocabulary))
			r.Vocabulary = append(r.Vocabulary, fmt.Sprint("own", own))
			e := dataset.Example{Answer: own % entities, Task: own % int32(len(tasks)), Query: []int32{own}}
			for range i % 3 {
				e.Query = slices.Insert(e.Query, 0, word)
			}
			for step := range 1 + 5*own%11 {
				e.Document = append(e.Document, (own+step%3)%entities, word)
			}
			if clozes {
				e.Candidates = []int32{own % entities, (own + 1) % entities, (own + 2) % entities}
				slices.Sort(e.Candidates)
			}
			*into = append(*into, e)
		}
	}
	return r
}

// answered is one question as a batch shows it.
type answered struct {
	own      int32 // the word that tells it
	document int   // its length in the batch
	names    map[int32]int32
	target   bool
}

// reads fills batch i and checks each question against its source: the words, the
// lengths, the candidates and the answer, with entities under the names that it finds.
func reads(t *testing.T, r *dataset.Reading, reading *task.Reading, batches task.Batches, i int) []answered {
	t.Helper()
	shape := reading.Shape()
	b := shape.Allocate()
	for _, tensor := range b.Int32 {
		for at := range tensor { // to be overwritten
			tensor[at] = -5
		}
	}
	if err := batches.Fill(i, b); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(shape); err != nil {
		t.Fatalf("batch %d: %v", i, err)
	}
	sources := map[int32]dataset.Example{}
	for _, e := range slices.Concat(r.Train, r.Valid, r.Test) {
		sources[e.Query[len(e.Query)-1]] = e
	}
	shift := int32(shape.Inputs[0].Size - len(r.Vocabulary))
	var all []answered
	for column := range shape.Sequences {
		read := func(name string) (tokens []int32) {
			for step := range b.Int32[name+"-lengths"][column] {
				tokens = append(tokens, b.Int32[name][int(step)*shape.Sequences+column])
			}
			return tokens
		}
		query, document := read("question"), read("document")
		own := query[len(query)-1] - shift
		e, ok := sources[own]
		if !ok {
			t.Fatalf("batch %d, sequence %d asks %v, which is no question", i, column, query)
		}
		a := answered{own: own, document: len(document), names: map[int32]int32{}}
		name := func(id int32, shown int32) {
			if int(id) >= r.Entities {
				if shown != id+shift {
					t.Errorf("question %d: the word %d is shown as %d", own, id, shown-shift)
				}
				return
			}
			if known, ok := a.names[id]; ok && known != shown || int(shown) >= shape.Classes {
				t.Errorf("question %d: entity %d is once %d and once %d", own, id, known, shown)
			}
			a.names[id] = shown
		}
		want := e.Document
		if n := shape.Steps["document"]; n < len(want) {
			if r.Entities > 0 {
				want = want[:n]
			} else {
				want = want[len(want)-n:]
			}
		}
		if len(query) != len(e.Query) || len(document) != len(want) {
			t.Fatalf("question %d is shown with %d and %d words, want %d and %d", own, len(query), len(document), len(e.Query), len(want))
		}
		for step, id := range want {
			name(id, document[step])
		}
		for step, id := range e.Query {
			name(id, query[step])
		}
		target := b.Targets[column]
		a.target = target >= 0
		switch {
		case r.Entities == 0:
			if a.target && target != e.Answer {
				t.Errorf("question %d has the target %d, want %d", own, target, e.Answer)
			}
		case a.target:
			name(e.Answer, target)
		}
		if r.Entities > 0 {
			marks := b.Candidates(shape.Inputs, column)
			var candidates []int32
			for class, mark := range marks {
				if mark == 1 {
					candidates = append(candidates, int32(class))
				}
			}
			if len(candidates) != len(e.Candidates) || a.target && marks[target] != 1 {
				t.Errorf("question %d, target %d: candidates %v, want %d with the target", own, target, candidates, len(e.Candidates))
			}
			for id, shown := range a.names {
				if marks[shown] != 1 {
					t.Errorf("question %d: entity %d, which is %d, is no candidate of %v", own, id, shown, candidates)
				}
			}
			if distinct := slices.Sorted(maps.Values(a.names)); len(slices.Compact(distinct)) != len(a.names) {
				t.Errorf("question %d: two entities have one name: %v", own, a.names)
			}
		}
		all = append(all, a)
	}
	return all
}

func newCloze(t *testing.T, r *dataset.Reading, batch, length, classes int) *task.Reading {
	t.Helper()
	reading, err := task.NewCloze(r, batch, length, classes)
	if err != nil {
		t.Fatal(err)
	}
	return reading
}

func newStories(t *testing.T, r *dataset.Reading, batch, length int) *task.Reading {
	t.Helper()
	reading, err := task.NewStories(r, batch, length)
	if err != nil {
		t.Fatal(err)
	}
	return reading
}

func TestClozeShape(t *testing.T) {
	t.Parallel()
	r := asked(true, []string{"asked"}, 9, 2, 3)
	reading := newCloze(t, r, 4, 15, 10)
	tokens := 10 + 1 + 14 // entities, the word, and one word a question
	want := network.Shape{
		Inputs: []network.Input{
			{Name: "document", Role: network.Tokens, Stream: "document", Size: tokens},
			{Name: "document-lengths", Role: network.Lengths, Stream: "document", Size: 1},
			{Name: "question", Role: network.Tokens, Stream: "question", Size: tokens},
			{Name: "question-lengths", Role: network.Lengths, Stream: "question", Size: 1},
			{Name: "candidates", Role: network.Candidates, Size: 10},
		},
		Steps: map[string]int{"document": 15, "question": 3}, Sequences: 4, Classes: 10,
	}
	if diff := cmp.Diff(want, reading.Shape()); diff != "" || reading.Metric() != metric.ErrorRate {
		t.Errorf("metric %s, shape (-want +got):\n%s", reading.Metric(), diff)
	}
	if err := reading.Shape().Check(); err != nil {
		t.Error(err)
	}
	// The documents that test have 6, 16 and 4 tokens, of which 15 are read; the questions 1, 2, 3.
	if diff := cmp.Diff(map[string]int{"document": 8, "question": 2}, reading.Steps()); diff != "" {
		t.Errorf("mean lengths (-want +got):\n%s", diff)
	}
	if got := newCloze(t, r, 4, 1000, 10).Shape().Steps["document"]; got != 22 {
		t.Errorf("the documents have %d steps, want as many as the longest, 22", got)
	}
	if got := newStories(t, asked(false, []string{"qa1_a"}, 9, 2, 3), 4, 15).Shape(); len(got.Inputs) != 4 || got.Classes != 6 || got.Inputs[0].Size != 7+14 {
		t.Errorf("stories have the shape %+v, want no candidates, for all are", got)
	}
}

func TestReadingEvaluation(t *testing.T) {
	t.Parallel()
	tasks := []string{"qa1_one", "qa2_two", "qa5_five"}
	for _, size := range []struct {
		train, test, batch, length int
		cloze                      bool
	}{
		{9, 5, 4, 100, true}, {9, 8, 4, 7, true}, {40, 1, 40, 3, true}, {3, 50, 1, 100, true},
		{9, 10, 4, 100, false}, {9, 12, 4, 7, false}, {7, 1, 7, 3, false}, {5, 31, 5, 1, false},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			names := tasks
			if size.cloze {
				names = []string{"asked"}
			}
			r := asked(size.cloze, names, size.train, size.test, size.test+1)
			reading := map[bool]func() *task.Reading{
				true:  func() *task.Reading { return newCloze(t, r, size.batch, size.length, 20) },
				false: func() *task.Reading { return newStories(t, r, size.batch, size.length) },
			}[size.cloze]()
			for part, examples := range map[task.Part][]dataset.Example{task.Train: r.Train, task.Valid: r.Valid, task.Test: r.Test} {
				batches, again := reading.Evaluation(part), reading.Evaluation(part)
				seen, last, group := map[int32]bool{}, 0, ""
				for i := range batches.Len() {
					filled, filling := false, map[int32]bool{}
					if g := batches.Group(i); g != group {
						group, last = g, 0
					}
					shown := reads(t, r, reading, batches, i)
					if diff := cmp.Diff(shown, reads(t, r, reading, again, i), cmp.AllowUnexported(answered{})); diff != "" {
						t.Errorf("%s, batch %d is once another:\n%s", part, i, diff)
					}
					for column, a := range shown {
						own := int(a.own)
						if !a.target {
							filled = true
							if own >= firstOwn+size.train || filling[a.own] {
								t.Errorf("%s, batch %d, sequence %d is filled with question %d, which is not another one of training", part, i, column, own)
							}
							filling[a.own] = true
							continue
						}
						if filled || seen[a.own] || a.document < last {
							t.Errorf("%s, batch %d, sequence %d: question %d of %d words comes after filling, twice, or after %d words", part, i, column, own, a.document, last)
						}
						seen[a.own], last = true, a.document
						want := ""
						if !size.cloze {
							want, _, _ = strings.Cut(tasks[own%3], "_")
						}
						if group != want {
							t.Errorf("%s, batch %d: question %d is in the group %q, want %q", part, i, own, group, want)
						}
					}
				}
				if len(seen) != len(examples) {
					t.Errorf("%s: %d questions are scored, want %d", part, len(seen), len(examples))
				}
				for _, e := range examples {
					if !seen[e.Query[len(e.Query)-1]] {
						t.Errorf("%s: question %v is not scored", part, e.Query)
					}
				}
			}
		})
	}
}

func TestReadingTraining(t *testing.T) {
	t.Parallel()
	for _, clozes := range []bool{true, false} {
		r := asked(clozes, []string{"qa1_a", "qa2_b"}, 30, 3, 3)
		fresh := func() *task.Reading {
			if clozes {
				return newCloze(t, r, 4, 9, 20)
			}
			return newStories(t, r, 4, 9)
		}
		reading := fresh()
		dropped, orders, given := map[int32]bool{}, map[string]bool{}, map[int32]map[string]bool{}
		for epoch := range 12 {
			batches := reading.Training(3, epoch)
			if batches.Len() != 7 || batches.Group(0) != "" {
				t.Fatalf("%d batches of group %q, want 7 of 30 questions and no group", batches.Len(), batches.Group(0))
			}
			seen := map[int32]bool{}
			var order []int32
			var ranges [][2]int
			for i := range batches.Len() {
				shown := reads(t, r, reading, batches, i)
				if diff := cmp.Diff(shown, reads(t, r, fresh(), fresh().Training(3, epoch), i), cmp.AllowUnexported(answered{})); diff != "" {
					t.Errorf("epoch %d, batch %d is once another:\n%s", epoch, i, diff)
				}
				least, most := 1000, 0
				for _, a := range shown {
					if !a.target || seen[a.own] || int(a.own) >= firstOwn+30 {
						t.Errorf("epoch %d, batch %d: question %d has no target, is shown twice or is none of training", epoch, i, a.own)
					}
					seen[a.own], order = true, append(order, a.own)
					least, most = min(least, a.document), max(most, a.document)
					if given[a.own] == nil {
						given[a.own] = map[string]bool{}
					}
					given[a.own][fmt.Sprint(a.names)] = true
				}
				ranges = append(ranges, [2]int{least, most})
			}
			orders[fmt.Sprint(order)] = true
			for own := int32(firstOwn); own < firstOwn+30; own++ {
				if !seen[own] {
					dropped[own] = true
				}
			}
			// All 7 batches are ordered by length together: their ranges touch at most.
			slices.SortFunc(ranges, func(a, b [2]int) int { return (a[0] + a[1]) - (b[0] + b[1]) })
			for i := 1; i < len(ranges); i++ {
				if ranges[i][0] < ranges[i-1][1] {
					t.Errorf("epoch %d: a batch has documents of %v words and another of %v", epoch, ranges[i-1], ranges[i])
				}
			}
		}
		if len(orders) != 12 || len(dropped) < 5 {
			t.Errorf("%d orders and %d dropped questions in 12 epochs, want 12 and the two to change", len(orders), len(dropped))
		}
		for own, names := range given {
			if clozes && len(names) < 5 {
				t.Errorf("question %d has %d assignments of names in 12 epochs: %v", own, len(names), names)
			}
		}
		if !clozes {
			continue
		}
		// Another seed gives other names; evaluation has its own, the same in every run.
		if one, other := reads(t, r, reading, reading.Training(3, 0), 0), reads(t, r, reading, reading.Training(4, 0), 0); cmp.Equal(one, other, cmp.AllowUnexported(answered{})) {
			t.Errorf("seeds 3 and 4 both begin with %v", one)
		}
	}
}

// A batch may not say that a sequence has no document, or a target that is none.
func TestReadingRefuses(t *testing.T) {
	t.Parallel()
	one := []string{"qa1_a"}
	change := func(f func(r *dataset.Reading)) *dataset.Reading {
		r := asked(true, one, 9, 2, 2)
		f(r)
		return r
	}
	for name, c := range map[string]struct {
		data                *dataset.Reading
		batch, length, many int
		want                string
	}{
		"few":                {asked(true, one, 3, 2, 2), 4, 9, 20, "train part of 3 questions is less than one batch of 4"},
		"no valid":           {asked(true, one, 9, 0, 2), 4, 9, 20, "the valid part has no questions"},
		"no length":          {asked(true, one, 9, 2, 2), 4, 0, 20, "not 4 × 0"},
		"entities":           {asked(true, one, 9, 2, 2), 4, 9, 5, "entities up to @entity5, but 5 are allowed for; give entities: 6 or more"},
		"no entities":        {asked(false, one, 9, 2, 2), 4, 9, 20, "no entities to choose from"},
		"empty document":     {change(func(r *dataset.Reading) { r.Valid[1].Document = nil }), 4, 9, 20, "question 1 of the valid part has an empty document"},
		"empty question":     {change(func(r *dataset.Reading) { r.Test[0].Query = nil }), 4, 9, 20, "question 0 of the test part is empty"},
		"foreign answer":     {change(func(r *dataset.Reading) { r.Test[0].Answer = 6 }), 4, 9, 20, "has answer 6 of 6"},
		"no candidate":       {change(func(r *dataset.Reading) { r.Test[0].Candidates = []int32{r.Test[0].Answer ^ 1} }), 4, 9, 20, "which is no candidate"},
		"foreign candidate":  {change(func(r *dataset.Reading) { r.Test[0].Candidates = append(r.Test[0].Candidates, 9) }), 4, 9, 20, "has candidate 9 of 6"},
		"foreign word":       {change(func(r *dataset.Reading) { r.Train[8].Document[0] = -1 }), 4, 9, 20, "has a word with the id -1"},
		"foreign task":       {change(func(r *dataset.Reading) { r.Train[8].Task = 1 }), 4, 9, 20, "is of task 1 of 1"},
		"less than one":      {asked(true, one, 9, 2, 2), 0, 9, 20, "not 0 × 9"},
		"no training at all": {asked(true, one, 0, 2, 2), 1, 9, 20, "train part of 0 questions"},
	} {
		if _, err := task.NewCloze(c.data, c.batch, c.length, c.many); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	_, err := task.NewStories(asked(true, one, 9, 2, 2), 4, 9)
	problem(t, err, "give it to the task cnn-qa")
	reading := newCloze(t, asked(true, one, 9, 2, 2), 4, 9, 20)
	if err := reading.Training(1, 0).Fill(2, reading.Shape().Allocate()); err == nil {
		t.Error("batch 2 of 2 was filled")
	}
	b := reading.Shape().Allocate()
	delete(b.Int32, "candidates")
	if err := reading.Training(1, 0).Fill(0, b); err == nil || !strings.Contains(err.Error(), "candidates has 0 elements; its dimensions [4 20] are 80") {
		t.Errorf("without candidates: %v", err)
	}
}

func TestReadingOptions(t *testing.T) {
	t.Parallel()
	babi, err := task.Find("babi")
	if err != nil {
		t.Fatal(err)
	}
	for tasks, want := range map[string]string{
		"1, x": `tasks must be all or numbers such as [1, 2, 16], not "1, x"`, "21": "no task 21", "0": "no task 0", "4, 4": "task 4 is named twice", "": "numbers such as",
	} {
		_, _, err := babi.Resolve("", plugins.Values{"tasks": tasks})
		problem(t, err, want)
	}
	_, _, err = babi.Resolve("babi-en-10k", plugins.Values{"tasks": "1, 3"})
	problem(t, err, "no copy of qa3's training file was found whose checksum could be stated; leave out task 3 or use babi-en")
	_, _, err = babi.Resolve("cnn-qa", plugins.Values{"tasks": "1"})
	problem(t, err, "data set cnn-qa has no numbered tasks; name babi-en or babi-en-10k")
	_, _, err = babi.Resolve("mnist", nil)
	problem(t, err, "data set mnist is of shape images, but one of shape reading is needed")
	if _, o, err := babi.Resolve("babi-en-10k", plugins.Values{"tasks": "20, 1"}); err != nil || o["tasks"] != "20, 1" {
		t.Errorf("tasks 20 and 1: %v, %v", o, err)
	}
}

// The stand-in is read end to end, and so are folders of the user's own.
func TestClozeLoads(t *testing.T) {
	t.Parallel()
	loaded, err := new(task.Loader).Load(t.Context(), task.Request{Task: "cnn-qa", Data: "cnn-qa-standin", Options: plugins.Values{"questions": "300", "length": "70"}})
	if err != nil {
		t.Fatal(err)
	}
	shape := loaded.Task.Shape()
	if shape.Classes != 550 || shape.Steps["document"] != 70 || !loaded.Data.Synthetic || !strings.Contains(loaded.Data.Summary, "300 + 1000 + 1000 questions, 583 tokens, 550 classes; 2") {
		t.Errorf("shape %+v, data %+v", shape, loaded.Data)
	}
	b := shape.Allocate()
	batches := loaded.Task.Training(1, 0)
	for i := range batches.Len() {
		if err := batches.Fill(i, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(shape); err != nil {
			t.Fatal(err)
		}
	}

	dir := t.TempDir()
	options := plugins.Values{"batch": "2", "entities": "9"}
	for part, n := range map[string]int{"train_questions": 3, "valid_questions": 1, "test_questions": 2} {
		options[part] = filepath.Join(dir, part)
		if err := os.Mkdir(options[part], 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			content := "u\n\n@entity2 ran . @entity0 sat\n\n@placeholder ran\n\n@entity2\n\n@entity2:Z\n@entity0:Y\n"
			if err := os.WriteFile(filepath.Join(options[part], fmt.Sprint(i, ".question")), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	own := load(t, "cnn-qa", options)
	if own.Data.Summary != "3 + 1 + 2 questions, 14 tokens, 9 classes" || own.Task.Shape().Classes != 9 || own.Options["train_questions"] != "" {
		t.Errorf("questions of the user's own: data %+v, options %v", own.Data, own.Options)
	}
	delete(options, "test_questions")
	_, err = new(task.Loader).Load(t.Context(), task.Request{Task: "cnn-qa", Options: options})
	problem(t, err, "test_questions is not given")
	_, err = new(task.Loader).Load(t.Context(), task.Request{Task: "cnn-qa", Data: "babi-en", Options: plugins.Values{"batch": "2"}})
	problem(t, err, "babi-en")
}

func published(t *testing.T, name string) string {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
		t.Skipf("skipped loading %s: ../shared/data is not there", name)
	}
	return folder
}

// The five real questions are too few for a batch of the paper, and enough for one of 3.
func TestCNNExamples(t *testing.T) {
	t.Parallel()
	loader := &task.Loader{DataDir: published(t, "cnn_qa")}
	request := task.Request{Task: "cnn-qa", Data: "cnn-qa-examples"}
	_, err := loader.Load(t.Context(), request)
	problem(t, err, "the train part of 3 questions is less than one batch of 128")
	request.Options = plugins.Values{"batch": "3"}
	loaded, err := loader.Load(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	shape := loaded.Task.Shape()
	for name, batches := range map[string]task.Batches{"train": loaded.Task.Training(1, 0), "valid": loaded.Task.Evaluation(task.Valid), "test": loaded.Task.Evaluation(task.Test)} {
		b := shape.Allocate()
		if err := batches.Fill(0, b); err != nil || batches.Len() != 1 {
			t.Fatalf("%s: %d batches, %v", name, batches.Len(), err)
		}
		if err := b.Check(shape); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(loaded.Data.Summary, "2 documents cut to their first 800 tokens") {
		t.Errorf("data %s, want the two documents of 1031 and 1162 tokens to be cut", loaded.Data.Summary)
	}
}

// Every test question of bAbI's twenty tasks is in the group of its task, once.
func TestBabi(t *testing.T) {
	t.Parallel()
	loader := &task.Loader{DataDir: published(t, "babi")}
	loaded, err := loader.Load(t.Context(), task.Request{Task: "babi"})
	if err != nil {
		t.Fatal(err)
	}
	shape := loaded.Task.Shape()
	if shape.Steps["document"] != 400 || len(shape.Inputs) != 4 || loaded.Task.Metric() != metric.Accuracy {
		t.Errorf("shape %+v, metric %s", shape, loaded.Task.Metric())
	}
	scored := map[string]int{}
	b, batches := shape.Allocate(), loaded.Task.Evaluation(task.Test)
	for i := range batches.Len() {
		if err := batches.Fill(i, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(shape); err != nil {
			t.Fatal(err)
		}
		for _, target := range b.Targets {
			if target >= 0 {
				scored[batches.Group(i)]++
			}
		}
	}
	want := map[string]int{}
	for n := range 20 {
		want[fmt.Sprint("qa", n+1)] = 1000
	}
	if diff := cmp.Diff(want, scored); diff != "" {
		t.Errorf("targets of each group (-want +got):\n%s", diff)
	}
	few, err := loader.Load(t.Context(), task.Request{Task: "babi", Options: plugins.Values{"tasks": "1, 19"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := few.Data.Summary; got != "1800 + 200 + 2000 questions, 31 tokens, 18 classes" {
		t.Errorf("tasks 1 and 19: %s", got)
	}
}
