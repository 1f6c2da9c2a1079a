package task_test

import (
	"errors"
	"fmt"
	"math"
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

// digits is how many bytes a position has.
const digits = 2

// counting are texts of the same length, one for each byte of a position: the symbols of text k are
// byte k of their own positions, from 0 in valid and test and from first in train. So windows of
// all of them together show where they were cut.
func counting(first, train, valid, test int) (texts [digits]*dataset.Text) {
	for k := range texts {
		part := func(first, n int) []byte {
			ids := make([]byte, n)
			for i := range ids {
				ids[i] = byte((first + i) >> (8 * k))
			}
			return ids
		}
		texts[k] = &dataset.Text{
			Name: "counting", Train: part(first, train), Valid: part(0, valid), Test: part(0, test),
			Vocabulary: make([]byte, min(256, first+max(train, valid, test))),
		}
	}
	return texts
}

// small is the text of the lower bytes, which are the positions of a short text.
func small(train, valid, test int) *dataset.Text { return counting(0, train, valid, test)[0] }

func newTask(t testing.TB, text *dataset.Text, batch, length int) *task.LanguageModel {
	t.Helper()
	language, err := task.NewLanguageModel(text, batch, length)
	if err != nil {
		t.Fatal(err)
	}
	return language
}

// tasks are those over counting texts, and batches the same ones of each.
type (
	tasks   [digits]*task.LanguageModel
	batches [digits]task.Batches
)

func newTasks(t testing.TB, texts [digits]*dataset.Text, batch, length int) (all tasks) {
	t.Helper()
	for k, text := range texts {
		all[k] = newTask(t, text, batch, length)
	}
	return all
}

func (all tasks) shape() network.Shape { return all[0].Shape() }

func (all tasks) training(seed uint64, epoch int) (b batches) {
	for k, language := range all {
		b[k] = language.Training(seed, epoch)
	}
	return b
}

func (all tasks) evaluation(part task.Part) (b batches) {
	for k, language := range all {
		b[k] = language.Evaluation(part)
	}
	return b
}

// Len is the number of batches.
func (b batches) Len() int { return b[0].Len() }

// fill fills batch i with positions.
func (b batches) fill(t *testing.T, shape network.Shape, i int) network.Batch {
	t.Helper()
	all := shape.Allocate()
	for k, one := range b {
		part := shape.Allocate()
		if err := one.Fill(i, part); err != nil {
			t.Fatal(err)
		}
		if err := part.Check(shape); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		for at, target := range part.Targets {
			all.Int32["text"][at] += part.Int32["text"][at] << (8 * k)
			if target < 0 {
				all.Targets[at] = -1
			} else {
				all.Targets[at] += target << (8 * k)
			}
		}
	}
	return all
}

// starts fills batch i of counting texts, checks that every sequence is a window of them, and
// returns where the windows begin and how many targets each has. A filling step shows the training
// part, whose symbols count from trained on.
func starts(t *testing.T, shape network.Shape, from batches, i int) (columns, targets []int) {
	t.Helper()
	b := from.fill(t, shape, i)
	for column := range shape.Sequences {
		start, counted := int(b.Int32["text"][column]), 0
		for step := range shape.Steps["text"] {
			at := step*shape.Sequences + column
			input, target := int(b.Int32["text"][at]), int(b.Targets[at])
			switch {
			case target == start+step+1 && input == start+step && counted == step:
				counted++
			case target != -1 || input != start+step && input != trained+step:
				t.Fatalf("batch %d, sequence %d, step %d: input %d, target %d; want %d and %d, or filling", i, column, step, input, target, start+step, start+step+1)
			}
		}
		columns, targets = append(columns, start), append(targets, counted)
	}
	return columns, targets
}

// trained is where the symbols of a training part count from that are told from others.
const trained = 10_000

func TestTrainingEpoch(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ symbols, batch, length int }{
		{1000, 3, 7}, {1001, 64, 1}, {99, 1, 13}, {103, 5, 10}, {30, 2, 10}, {2, 1, 1},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			counted := newTasks(t, counting(0, size.symbols, size.length+1, size.length+1), size.batch, size.length)
			want := (size.symbols - size.length) / size.length / size.batch
			offsets := map[int]bool{}
			for epoch := range 60 {
				batches := counted.training(11, epoch)
				if batches.Len() != want {
					t.Fatalf("epoch %d has %d batches, want %d", epoch, batches.Len(), want)
				}
				var all []int
				for i := range batches.Len() {
					columns, targets := starts(t, counted.shape(), batches, i)
					if slices.Min(targets) != size.length {
						t.Errorf("epoch %d, batch %d: the sequences have %v targets, want %d each", epoch, i, targets, size.length)
					}
					all = append(all, columns...)
				}
				offset := all[0] % size.length
				offsets[offset] = true
				slices.Sort(all)
				for i, start := range all {
					if start%size.length != offset || (i > 0 && start == all[i-1]) || start+size.length >= size.symbols {
						t.Fatalf("epoch %d: a window begins at %d of %d; the offset is %d and the length %d", epoch, start, size.symbols, offset, size.length)
					}
				}
			}
			// Each of 13 offsets is missed in 60 epochs with probability (12/13)^60 < 1 %;
			// the seed is fixed.
			if len(offsets) != size.length {
				t.Errorf("%d offsets occurred, want %d", len(offsets), size.length)
			}
		})
	}
}

// Batch 2 of epoch 3 is the same in whatever order batches are asked for: what a
// resumed run needs.
func TestBatchesAreReplayed(t *testing.T) {
	t.Parallel()
	const batch, length = 3, 7
	texts := counting(0, 500, 50, 50)
	counted := newTasks(t, texts, batch, length)
	shape := counted.shape()
	want, _ := starts(t, shape, newTasks(t, texts, batch, length).training(5, 3), 2)
	for epoch := range 4 {
		batches := counted.training(5, epoch)
		for i := batches.Len() - 1; i >= 0; i-- {
			if got, _ := starts(t, shape, batches, i); epoch == 3 && i == 2 && !cmp.Equal(got, want) {
				t.Errorf("got windows at %v, want %v", got, want)
			}
		}
	}
}

// Golden values: were the order to change, a checkpoint could not be resumed.
func TestOrderIsFixed(t *testing.T) {
	t.Parallel()
	counted := newTasks(t, counting(0, 500, 50, 50), 5, 7)
	for _, test := range []struct {
		seed  uint64
		epoch int
		want  []int
	}{
		{0, 0, []int{284, 81, 249, 158, 88}},
		{0, 1, []int{107, 30, 380, 415, 240}},
		{1, 0, []int{150, 213, 10, 458, 73}},
		{math.MaxUint64, 1 << 40, []int{98, 238, 476, 357, 21}},
	} {
		got, _ := starts(t, counted.shape(), counted.training(test.seed, test.epoch), 0)
		if !cmp.Equal(got, test.want) {
			t.Errorf("seed %d, epoch %d: windows at %v, want %v", test.seed, test.epoch, got, test.want)
		}
	}
}

// Every symbol of a part but the first is a target once, in order.
func TestEvaluation(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ symbols, batch, length int }{
		{100, 4, 7}, {71, 4, 7}, {71, 5, 7}, {70, 5, 7}, {72, 5, 7}, {8, 64, 7}, {5, 64, 7}, {9, 1, 1}, {2, 3, 1}, {2, 3, 5}, {1000, 13, 11},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			counted := newTasks(t, counting(trained, size.length*(size.batch+1), size.symbols, size.symbols+size.length), size.batch, size.length)
			for part, symbols := range map[task.Part]int{task.Valid: size.symbols, task.Test: size.symbols + size.length} {
				batches := counted.evaluation(part)
				next, windows := 0, map[int]bool{}
				for i := range batches.Len() {
					columns, targets := starts(t, counted.shape(), batches, i)
					for column, start := range columns {
						if windows[start] {
							t.Errorf("%s, batch %d, sequence %d begins at %d as another does", part, i, column, start)
						}
						windows[start] = true
						if start >= trained {
							if targets[column] != 0 || start%size.length != trained%size.length {
								t.Errorf("%s, batch %d: the filling at %d has %d targets", part, i, start, targets[column])
							}
							continue
						}
						if start != next || targets[column] != min(size.length, symbols-1-start) {
							t.Errorf("%s, batch %d, sequence %d begins at %d and has %d targets; want %d and all that are left", part, i, column, start, targets[column], next)
						}
						next += targets[column]
					}
				}
				if next != symbols-1 {
					t.Errorf("%s: %d targets, want %d", part, next, symbols-1)
				}
			}
		})
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	language := newTask(t, small(100, 20, 20), 4, 7)
	want := network.Shape{
		Inputs: []network.Input{{Name: "text", Role: network.Tokens, Stream: "text", Size: 100}},
		Steps:  map[string]int{"text": 7}, Sequences: 4, Classes: 100, Targets: "text",
	}
	if diff := cmp.Diff(want, language.Shape()); diff != "" {
		t.Errorf("shape (-want +got):\n%s", diff)
	}
	if err := language.Shape().Check(); err != nil || language.Metric() != metric.BPC || !cmp.Equal(language.Steps(), want.Steps) {
		t.Errorf("shape %v, metric %s, steps %v; want %s and those of the shape", err, language.Metric(), language.Steps(), metric.BPC)
	}
}

func TestTooSmall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text          *dataset.Text
		batch, length int
		words         []string
	}{
		"no batch":  {small(100, 100, 100), 0, 7, []string{"0 × 7"}},
		"no length": {small(100, 100, 100), 4, 0, []string{"4 × 0"}},
		"train":     {small(34, 100, 100), 4, 7, []string{"counting", "34 symbols", "3 windows of 7", "batch of 4"}},
		"valid":     {small(35, 1, 100), 4, 7, []string{"counting", "valid part of 1 symbols"}},
		"test":      {small(35, 2, 0), 4, 7, []string{"counting", "test part of 0 symbols"}},
		"empty":     {small(0, 0, 0), 1, 1, []string{"train part of 0 symbols"}},
	} {
		_, err := task.NewLanguageModel(test.text, test.batch, test.length)
		var problem *plugins.Problem
		if !errors.As(err, &problem) {
			t.Errorf("%s: got %v, want a Problem", name, err)
			continue
		}
		for _, word := range test.words {
			if !strings.Contains(problem.Sentence, word) {
				t.Errorf("%s: got %q, want it to contain %q", name, problem.Sentence, word)
			}
		}
	}
	newTask(t, small(35, 2, 2), 4, 7) // just enough
}

func TestForeignSymbol(t *testing.T) {
	t.Parallel()
	text := small(100, 20, 20)
	text.Test[19] = 100
	if _, err := task.NewLanguageModel(text, 4, 7); err == nil || !strings.Contains(err.Error(), "symbol 19 of the test part has id 100") {
		t.Errorf("got %v, want symbol 19 named with id 100", err)
	}
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	language := newTask(t, small(100, 20, 20), 4, 7)
	batches, shape := language.Training(1, 0), language.Shape()
	for _, i := range []int{-1, batches.Len()} {
		if err := batches.Fill(i, shape.Allocate()); err == nil {
			t.Errorf("batch %d of %d was filled", i, batches.Len())
		}
	}
	allocated := func(sequences, steps int) network.Batch {
		other := shape
		other.Sequences, other.Steps = sequences, map[string]int{"text": steps}
		return other.Allocate()
	}
	targetless := shape.Allocate()
	targetless.Targets = nil
	for name, c := range map[string]struct {
		batch network.Batch
		want  string
	}{
		"none": {network.Batch{}, "0 sequences where 4 are"}, "few": {allocated(3, 7), "3 sequences where 4 are"},
		"short": {allocated(4, 6), "the batch has 6 steps of the stream \"text\" where 7 are"}, "long": {allocated(4, 8), "8 steps of the stream \"text\" where 7 are"},
		"targetless": {targetless, "the tensor targets has 0 elements; its dimensions [7 4] are 28"},
	} {
		if err := batches.Fill(0, c.batch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	language := newTask(t, small(10_000, 200, 201), 64, 100)
	b := language.Shape().Allocate()
	for name, batches := range map[string]task.Batches{"training": language.Training(1, 0), "evaluation": language.Evaluation(task.Test)} {
		if got := testing.AllocsPerRun(20, func() {
			if err := batches.Fill(0, b); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	language := newTask(b, small(1_000_000, 200, 200), 64, 100)
	batches, batch := language.Training(1, 0), language.Shape().Allocate()
	for i := 0; b.Loop(); i++ {
		if err := batches.Fill(i%batches.Len(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
