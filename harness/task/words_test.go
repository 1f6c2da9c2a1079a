package task_test

import (
	"fmt"
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

// numbered are words of which word i of a part has the id i plus 1, of the training
// part plus trained + 1; the end of a sentence has the id 0.
func numbered(train, valid, test int) *dataset.Words {
	part := func(n, first int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(first + i)
		}
		return ids
	}
	vocabulary := make([]string, trained+train+1)
	vocabulary[0] = dataset.EndOfSentence
	return &dataset.Words{Name: "numbered", Train: part(train, trained+1), Valid: part(valid, 1), Test: part(test, 1), Vocabulary: vocabulary}
}

func newWords(t *testing.T, words *dataset.Words, batch, length int) *task.Words {
	t.Helper()
	made, err := task.NewWords(words, batch, length)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// columns fills all batches and returns what each sequence is shown: the targets and,
// before each, its input. Filling has no target, and follows what has.
func columns(t *testing.T, words *task.Words, batches task.Batches) (inputs, targets [][]int32) {
	t.Helper()
	shape := words.Shape()
	b := shape.Allocate()
	inputs, targets = make([][]int32, shape.Sequences), make([][]int32, shape.Sequences)
	ended := make([]bool, shape.Sequences)
	for i := range batches.Len() {
		for at := range b.Targets { // to be overwritten
			b.Targets[at], b.Int32["words"][at] = 77, -9
		}
		if err := batches.Fill(i, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(shape); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		for column, fresh := range b.Fresh {
			if (fresh == 1) != (i == 0) {
				t.Errorf("batch %d, sequence %d: fresh is %d", i, column, fresh)
			}
		}
		for at, target := range b.Targets {
			column, input := at%shape.Sequences, b.Int32["words"][at]
			if target < 0 {
				ended[column] = true
				if input != 0 && input <= trained {
					t.Errorf("batch %d, sequence %d is filled with %d, which is not of the training part", i, column, input)
				}
				continue
			}
			if ended[column] {
				t.Errorf("batch %d, sequence %d: the target %d stands behind filling", i, column, target)
			}
			inputs[column], targets[column] = append(inputs[column], input), append(targets[column], target)
		}
	}
	return inputs, targets
}

// Every word of a part is a target once, its input is the word before it, and a
// sequence goes on from batch to batch.
func TestWordsEvaluation(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ words, batch, length int }{
		{100, 4, 7}, {101, 4, 7}, {99, 4, 7}, {1, 1, 1}, {1, 5, 3}, {5, 4, 3}, {4, 5, 3}, {1000, 13, 11}, {60, 3, 20},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			words := newWords(t, numbered(size.batch*size.length+1, size.words, 2*size.words+1), size.batch, size.length)
			for part, n := range map[task.Part]int{task.Valid: size.words, task.Test: 2*size.words + 1} {
				batches := words.Evaluation(part)
				inputs, targets := columns(t, words, batches)
				got := slices.Concat(targets...)
				if len(got) != n {
					t.Fatalf("%s: %d targets of %d words", part, len(got), n)
				}
				for i, target := range got {
					if input := slices.Concat(inputs...)[i]; int(target) != i+1 || int(input) != i {
						t.Fatalf("%s: target %d is %d and has the input %d, want %d and %d", part, i, target, input, i+1, i)
					}
				}
				longest := len(targets[0])
				for column, words := range targets {
					if column > 0 && len(targets[column-1]) < longest && len(words) > 0 {
						t.Errorf("%s: sequence %d has %d words though the one before has %d", part, column, len(words), len(targets[column-1]))
					}
				}
				if want := (longest + size.length - 1) / size.length; batches.Len() != want {
					t.Errorf("%s: %d batches, want %d", part, batches.Len(), want)
				}
			}
		})
	}
}

func TestWordsTraining(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ words, batch, length int }{
		{100, 4, 7}, {101, 4, 7}, {28, 4, 7}, {1, 1, 1}, {999, 13, 11},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			words := newWords(t, numbered(size.words, 5, 5), size.batch, size.length)
			batches := words.Training(1, 0)
			stretch := size.words / size.batch
			if want := stretch / size.length; batches.Len() != want {
				t.Fatalf("%d batches, want %d", batches.Len(), want)
			}
			inputs, targets := columns(t, words, batches)
			for column, got := range targets {
				if want := stretch / size.length * size.length; len(got) != want {
					t.Errorf("sequence %d has %d targets, want %d", column, len(got), want)
				}
				for i, target := range got {
					want := int32(trained + 1 + column*stretch + i)
					before := want - 1
					if want == trained+1 {
						before = 0
					}
					if target != want || inputs[column][i] != before {
						t.Fatalf("sequence %d, step %d: input %d, target %d; want %d and %d", column, i, inputs[column][i], target, before, want)
					}
				}
			}
			againInputs, againTargets := columns(t, words, words.Training(2, 5))
			if !cmp.Equal(inputs, againInputs) || !cmp.Equal(targets, againTargets) {
				t.Error("another epoch shows another text")
			}
		})
	}
}

func TestWordsShape(t *testing.T) {
	t.Parallel()
	words := newWords(t, numbered(28, 5, 5), 4, 7)
	vocabulary := trained + 28 + 1
	want := network.Shape{
		Inputs: []network.Input{{Name: "words", Role: network.Tokens, Stream: "words", Size: vocabulary}},
		Steps:  map[string]int{"words": 7}, Sequences: 4, Classes: vocabulary, Targets: "words", Carried: true,
	}
	if diff := cmp.Diff(want, words.Shape()); diff != "" || words.Metric() != metric.Perplexity || !cmp.Equal(words.Steps(), want.Steps) {
		t.Errorf("metric %s, steps %v, shape (-want +got):\n%s", words.Metric(), words.Steps(), diff)
	}
	shape := words.Shape()
	b := shape.Allocate()
	b.Fresh = nil
	if err := words.Training(1, 0).Fill(0, b); err == nil || !strings.Contains(err.Error(), "the tensor fresh has 0 elements; its dimensions [4] are 4") {
		t.Errorf("without fresh: %v", err)
	}
}

func TestWordsTooFew(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		words         *dataset.Words
		batch, length int
	}{
		"0 × 7":                       {numbered(100, 9, 9), 0, 7},
		"train part of 27 words":      {numbered(27, 9, 9), 4, 7},
		"valid part has no words":     {numbered(28, 0, 9), 4, 7},
		"numbered: the test part has": {numbered(28, 9, 0), 4, 7},
	} {
		_, err := task.NewWords(c.words, c.batch, c.length)
		problem(t, err, want)
	}
	foreign := numbered(28, 9, 9)
	foreign.Valid[8] = -1
	if _, err := task.NewWords(foreign, 4, 7); err == nil || !strings.Contains(err.Error(), "word 8 of the valid part has id -1") {
		t.Errorf("a foreign word: %v", err)
	}
	endless := numbered(28, 9, 9)
	endless.Vocabulary[0] = "end"
	if _, err := task.NewWords(endless, 4, 7); err == nil || !strings.Contains(err.Error(), "lacks <eos>") {
		t.Errorf("a vocabulary without <eos>: %v", err)
	}
}

// The words of the user's own are what their file holds, wherever it lies.
func TestOwnWords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("the cat sat on the mat\nthe dog did not\n", 30)), 0o600); err != nil {
		t.Fatal(err)
	}
	options := plugins.Values{"text": path, "split": "0.5, 0.25, 0.25", "vocabulary": "5", "batch": "2", "length": "5"}
	loaded := load(t, "words", options)
	if d := loaded.Data; d.Name != "words:my.txt" || d.Summary != "180 + 90 + 90 words, 5 different" || d.Split != "0.5/0.25/0.25 by position" {
		t.Errorf("data %+v", d)
	}
	if diff := cmp.Diff(plugins.Values{"split": "0.5, 0.25, 0.25", "vocabulary": "5", "batch": "2", "length": "5"}, loaded.Options); diff != "" {
		t.Errorf("options that identify it (-want +got):\n%s", diff)
	}
	definition, err := task.Find("words")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = definition.Resolve("ptb-word", plugins.Values{"vocabulary": "9"})
	problem(t, err, "vocabulary is for a text of your own")
	_, _, err = definition.Resolve("", plugins.Values{"split": "0.5, 0.25, 0.25"})
	problem(t, err, "split is for a text of your own")
	if data, o, err := definition.Resolve("", nil); err != nil || data != "ptb-word" || o["batch"] != "20" || o["length"] != "35" {
		t.Errorf("with defaults alone: %s, %v, %v", data, o, err)
	}
}

// Every word of Penn Treebank's test part is scored.
func TestPennTreebank(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(filepath.Join(folder, "ptb")); err != nil {
		t.Skip("skipped loading Penn Treebank: ../shared/data is not there")
	}
	loaded, err := (&task.Loader{DataDir: folder}).Load(t.Context(), task.Request{Task: "words"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "929589 + 73760 + 82430 words, 10000 different"; loaded.Data.Summary != want {
		t.Errorf("data %s, want %s", loaded.Data.Summary, want)
	}
	shape := loaded.Task.Shape()
	b := shape.Allocate()
	for part, want := range map[task.Part]int{task.Valid: 73_760, task.Test: 82_430} {
		batches, scored := loaded.Task.Evaluation(part), 0
		for i := range batches.Len() {
			if err := batches.Fill(i, b); err != nil {
				t.Fatal(err)
			}
			for _, target := range b.Targets {
				if target >= 0 {
					scored++
				}
			}
		}
		if scored != want {
			t.Errorf("%s: %d targets, want %d", part, scored, want)
		}
	}
	if got := loaded.Task.Training(1, 0).Len(); got != 929_589/20/35 {
		t.Errorf("an epoch has %d batches, want %d", got, 929_589/20/35)
	}
}
