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
	"bittern/plugins/model"
)

// counting is a text in which every symbol is its own position, so that a window
// shows where it was cut.
func counting(train, valid, test int) *dataset.Text {
	part := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(i)
		}
		return ids
	}
	return &dataset.Text{
		Name: "counting", Train: part(train), Valid: part(valid), Test: part(test),
		Vocabulary: make([]byte, max(train, valid, test)),
	}
}

func newTask(t testing.TB, text *dataset.Text, batch, length int) *task.LanguageModel {
	t.Helper()
	language, err := task.NewLanguageModel(text, batch, length)
	if err != nil {
		t.Fatal(err)
	}
	return language
}

func tensors(batch, length int) model.Inputs {
	return model.Inputs{Int32: map[string][]int32{
		"inputs": make([]int32, length*batch), "targets": make([]int32, length*batch),
	}}
}

// starts fills batch i, checks that every column is a window of a counting text,
// and returns where the windows begin.
func starts(t *testing.T, batches task.Batches, i, batch, length int) (columns []int, valid int) {
	t.Helper()
	in := tensors(batch, length)
	valid, err := batches.Fill(i, in)
	if err != nil {
		t.Fatal(err)
	}
	inputs, targets := in.Int32["inputs"], in.Int32["targets"]
	for column := range batch {
		start := int(inputs[column])
		columns = append(columns, start)
		for step := range length {
			at := step*batch + column
			if int(inputs[at]) != start+step || int(targets[at]) != start+step+1 {
				t.Fatalf("batch %d, sequence %d, step %d: input %d, target %d; want %d, %d",
					i, column, step, inputs[at], targets[at], start+step, start+step+1)
			}
		}
	}
	return columns, valid
}

func TestTrainingEpoch(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ symbols, batch, length int }{
		{1000, 3, 7}, {1001, 64, 1}, {99, 1, 13}, {103, 5, 10}, {30, 2, 10}, {2, 1, 1},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			language := newTask(t, counting(size.symbols, size.length+1, size.length+1), size.batch, size.length)
			want := (size.symbols - size.length) / size.length / size.batch
			offsets := map[int]bool{}
			for epoch := range 60 {
				batches := language.Training(11, epoch)
				if batches.Len() != want {
					t.Fatalf("epoch %d has %d batches, want %d", epoch, batches.Len(), want)
				}
				var all []int
				for i := range batches.Len() {
					columns, valid := starts(t, batches, i, size.batch, size.length)
					if valid != size.batch {
						t.Errorf("epoch %d, batch %d: %d sequences count, want all %d", epoch, i, valid, size.batch)
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
	text := counting(500, 50, 50)
	want, _ := starts(t, newTask(t, text, batch, length).Training(5, 3), 2, batch, length)
	language := newTask(t, text, batch, length)
	for epoch := range 4 {
		batches := language.Training(5, epoch)
		for i := batches.Len() - 1; i >= 0; i-- {
			if got, _ := starts(t, batches, i, batch, length); epoch == 3 && i == 2 && !cmp.Equal(got, want) {
				t.Errorf("got windows at %v, want %v", got, want)
			}
		}
	}
}

// Golden values: were the order to change, a checkpoint could not be resumed.
func TestOrderIsFixed(t *testing.T) {
	t.Parallel()
	language := newTask(t, counting(500, 50, 50), 5, 7)
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
		got, _ := starts(t, language.Training(test.seed, test.epoch), 0, 5, 7)
		if !cmp.Equal(got, test.want) {
			t.Errorf("seed %d, epoch %d: windows at %v, want %v", test.seed, test.epoch, got, test.want)
		}
	}
}

func TestEvaluation(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ symbols, batch, length int }{
		{100, 4, 7}, {71, 4, 7}, {71, 5, 7}, {70, 5, 7}, {8, 64, 7}, {9, 1, 1}, {2, 3, 1}, {1000, 13, 11},
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			// Symbols of the training part are told from the others' by where they count from.
			const trained = 10_000
			text := counting(size.length*(size.batch+1), size.symbols, size.symbols+size.length)
			for i := range text.Train {
				text.Train[i] += trained
			}
			text.Vocabulary = make([]byte, 2*trained)
			language := newTask(t, text, size.batch, size.length)
			for part, symbols := range map[task.Part]int{task.Valid: size.symbols, task.Test: size.symbols + size.length} {
				windows := (symbols - 1) / size.length
				batches := language.Evaluation(part)
				counted := 0
				for i := range batches.Len() {
					columns, valid := starts(t, batches, i, size.batch, size.length)
					for column, start := range columns {
						want := (i*size.batch + column) * size.length
						if column >= valid {
							want = trained + (column-valid)*size.length
						}
						if start != want {
							t.Errorf("%s, batch %d, sequence %d begins at %d, want %d", part, i, column, start, want)
						}
					}
					counted += valid
				}
				if counted != windows {
					t.Errorf("%s: %d windows count, want %d", part, counted, windows)
				}
				if dropped := symbols - 1 - counted*size.length; dropped >= size.length {
					t.Errorf("%s: %d targets are dropped, want fewer than %d", part, dropped, size.length)
				}
			}
		})
	}
}

// A backend sees the sequences that the model is evaluated on.
func TestSequences(t *testing.T) {
	t.Parallel()
	const batch, length = 4, 7
	language := newTask(t, counting(100, 100, 71), batch, length)
	for _, limit := range []int{0, 1, 9, 10, 99} {
		got := language.Sequences(task.Test, limit)
		want := 10
		if limit > 0 {
			want = min(want, limit)
		}
		if got.Count != want || got.Length != length || len(got.Tokens) != want*length || len(got.Targets) != want*length || got.Dense != nil {
			t.Fatalf("limit %d: %d sequences of %d, %d tokens, %d targets; want %d of %d", limit, got.Count, got.Length, len(got.Tokens), len(got.Targets), want, length)
		}
		batches, in := language.Evaluation(task.Test), tensors(batch, length)
		for sequence := range got.Count {
			if _, err := batches.Fill(sequence/batch, in); err != nil {
				t.Fatal(err)
			}
			for step := range length {
				at, from := sequence*length+step, step*batch+sequence%batch
				if got.Tokens[at] != in.Int32["inputs"][from] || got.Targets[at] != in.Int32["targets"][from] {
					t.Fatalf("sequence %d, step %d: token %d, target %d; the model is given %d, %d", sequence, step,
						got.Tokens[at], got.Targets[at], in.Int32["inputs"][from], in.Int32["targets"][from])
				}
			}
		}
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	language := newTask(t, counting(100, 20, 20), 4, 7)
	want := model.Task{Kind: model.LanguageModel, InputSize: 100, OutputSize: 100, Batch: 4, Length: 7}
	if diff := cmp.Diff(want, language.Shape()); diff != "" {
		t.Errorf("shape (-want +got):\n%s", diff)
	}
	if language.Metric() != metric.BPC {
		t.Errorf("metric %s, want %s", language.Metric(), metric.BPC)
	}
}

func TestTooSmall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text          *dataset.Text
		batch, length int
		words         []string
	}{
		"no batch":  {counting(100, 100, 100), 0, 7, []string{"0 × 7"}},
		"no length": {counting(100, 100, 100), 4, 0, []string{"4 × 0"}},
		"train":     {counting(34, 100, 100), 4, 7, []string{"counting", "34 symbols", "3 windows of 7", "batch of 4"}},
		"valid":     {counting(35, 7, 100), 4, 7, []string{"counting", "valid part of 7 symbols", "window of 7"}},
		"test":      {counting(35, 8, 0), 4, 7, []string{"counting", "test part of 0 symbols"}},
		"empty":     {counting(0, 0, 0), 1, 1, []string{"train part of 0 symbols"}},
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
	newTask(t, counting(35, 8, 8), 4, 7) // just enough
}

func TestForeignSymbol(t *testing.T) {
	t.Parallel()
	for _, id := range []int32{-1, 100} {
		text := counting(100, 20, 20)
		text.Test[19] = id
		if _, err := task.NewLanguageModel(text, 4, 7); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("symbol 19 of the test part has id %d", id)) {
			t.Errorf("got %v, want symbol 19 named with id %d", err, id)
		}
	}
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	batches := newTask(t, counting(100, 20, 20), 4, 7).Training(1, 0)
	for _, i := range []int{-1, batches.Len()} {
		if _, err := batches.Fill(i, tensors(4, 7)); err == nil {
			t.Errorf("batch %d of %d was filled", i, batches.Len())
		}
	}
	for name, in := range map[string]model.Inputs{
		"none": {}, "short": tensors(4, 6), "long": tensors(4, 8),
	} {
		if _, err := batches.Fill(0, in); err == nil || !strings.Contains(err.Error(), "[7, 4] are needed") {
			t.Errorf("%s: got %v, want an error with the shape", name, err)
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	batches, in := newTask(t, counting(10_000, 200, 200), 64, 100).Training(1, 0), tensors(64, 100)
	if got := testing.AllocsPerRun(20, func() {
		if _, err := batches.Fill(0, in); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func BenchmarkFill(b *testing.B) {
	batches, in := newTask(b, counting(1_000_000, 200, 200), 64, 100).Training(1, 0), tensors(64, 100)
	for i := 0; b.Loop(); i++ {
		if _, err := batches.Fill(i%batches.Len(), in); err != nil {
			b.Fatal(err)
		}
	}
}
