package task_test

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

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/network"
)

func problem(t *testing.T, err error, want string) {
	t.Helper()
	if p, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(p.Sentence, want) {
		t.Errorf("got %v, want a Problem with %q", err, want)
	}
}

// Every entry of the registry has what a list of keys shows, and defaults that go together.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"characters", "words", "smnist", "psmnist", "cnn-qa", "babi", "delayed-copy"}, task.Names()); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	for _, d := range task.Definitions() {
		if d.Summary == "" || d.Shape == "" {
			t.Errorf("task %s: %+v", d.Name, d)
		}
		for _, o := range d.Options {
			if o.Doc == "" || o.Type == plugins.Int && o.Min >= o.Max {
				t.Errorf("task %s: option %+v has no meaning or no bounds", d.Name, o)
			}
		}
		for _, file := range d.Files {
			if !slices.Contains(d.OptionNames(), file) {
				t.Errorf("task %s: the file %s is no option", d.Name, file)
			}
		}
		data := d.Data
		if data == "" {
			data = "grammar"
		}
		if set, err := dataset.Find(data); err != nil || set.Shape != d.Shape {
			t.Errorf("task %s: data set %s is of shape %q, %v; want %q", d.Name, data, set.Shape, err, d.Shape)
		}
		if _, _, err := d.Resolve(data, nil); err != nil {
			t.Errorf("task %s with defaults alone: %v", d.Name, err)
		}
	}
}

// A text of the user's own is what it holds, wherever it lies.
func TestOwnText(t *testing.T) {
	t.Parallel()
	write := func() string {
		path := filepath.Join(t.TempDir(), "my.txt")
		if err := os.WriteFile(path, []byte(strings.Repeat("not UTF-8: \xff\n", 50)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	options := func() plugins.Values {
		return plugins.Values{"text": write(), "split": "0.5, 0.25, 0.25", "batch": "2", "length": "5"}
	}
	first, second := load(t, "characters", options()), load(t, "characters", options())
	if first.Data != second.Data || !cmp.Equal(first.Options, second.Options) || first.Options["text"] != "" {
		t.Errorf("in another folder the text is %+v %v, want %+v %v without its path", second.Data, second.Options, first.Data, first.Options)
	}
	if first.Data.Name != "text:my.txt" || first.Data.Summary != "650 bytes, 12 symbols" || first.Task.Metric() != metric.BPC {
		t.Errorf("data %+v, metric %s", first.Data, first.Task.Metric())
	}
	_, err := new(task.Loader).Load(t.Context(), task.Request{Task: "characters", Options: plugins.Values{"text": write(), "split": "0.9, 0.9, 0.9"}})
	problem(t, err, "adds up to 2.7")
	_, err = new(task.Loader).Load(t.Context(), task.Request{Task: "characters", Data: "mnist"})
	problem(t, err, "data set mnist is of shape images, but one of shape text is needed")
	_, err = new(task.Loader).Load(t.Context(), task.Request{Task: "smnist", Data: "grammar"})
	problem(t, err, "data set grammar is of shape text, but one of shape images is needed")
	_, err = new(task.Loader).Load(t.Context(), task.Request{Task: "delayed-copy", Data: "copy"})
	problem(t, err, `not "copy"`)
}

func TestDelayedCopyTask(t *testing.T) {
	t.Parallel()
	loaded := load(t, "delayed-copy", plugins.Values{"batch": "3", "length": "6", "delay": "2", "examples": "7", "evaluated": "4"})
	copying := loaded.Task
	shape := copying.Shape()
	want := network.Shape{
		Inputs: []network.Input{{Name: "symbols", Role: network.Tokens, Stream: "symbols", Size: 8}},
		Steps:  map[string]int{"symbols": 6}, Sequences: 3, Classes: 8, Targets: "symbols",
	}
	if diff := cmp.Diff(want, shape); diff != "" || copying.Metric() != metric.Accuracy || !loaded.Data.Synthetic || len(loaded.Data.SHA256) != 64 {
		t.Errorf("metric %s, data %+v, shape (-want +got):\n%s", copying.Metric(), loaded.Data, diff)
	}
	// columns are the examples as a batch shows them; their targets are checked.
	seen := map[string]bool{}
	read := func(batches task.Batches, i, counted int) (columns [][]int32) {
		b := shape.Allocate()
		if err := batches.Fill(i, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(shape); err != nil {
			t.Fatal(err)
		}
		for column := range 3 {
			var tokens []int32
			for step := range 6 {
				tokens = append(tokens, b.Int32["symbols"][step*3+column])
				want := int32(-1)
				if step >= 2 && column < counted {
					want = tokens[step-2]
				}
				if got := b.Targets[step*3+column]; got != want {
					t.Fatalf("batch %d, example %d, step %d: target %d, want %d", i, column, step, got, want)
				}
			}
			columns = append(columns, tokens)
		}
		return columns
	}
	for seed := range uint64(2) {
		for epoch := range 3 {
			batches := copying.Training(seed, epoch)
			if batches.Len() != 2 {
				t.Fatalf("%d batches, want 2 of 7 examples", batches.Len())
			}
			for i := range 2 {
				columns, again := read(batches, i, 3), read(copying.Training(seed, epoch), i, 3)
				if !cmp.Equal(columns, again) {
					t.Errorf("batch %d of epoch %d is once %v and once %v", i, epoch, columns, again)
				}
				for _, tokens := range columns {
					seen[string(int32s(tokens))] = true
				}
			}
		}
	}
	if len(seen) != 36 {
		t.Errorf("%d different examples of 2 seeds, 3 epochs and 6 examples; want 36", len(seen))
	}
	for _, part := range []task.Part{task.Valid, task.Test} {
		batches := copying.Evaluation(part)
		if batches.Len() != 2 {
			t.Fatalf("%s: %d batches, want 2", part, batches.Len())
		}
		for i, counted := range []int{3, 1} {
			for _, tokens := range read(batches, i, counted)[:counted] {
				if seen[string(int32s(tokens))] {
					t.Errorf("%s: example %v was seen before", part, tokens)
				}
				seen[string(int32s(tokens))] = true
			}
		}
	}
}

func int32s(ids []int32) (text []byte) {
	for _, id := range ids {
		text = append(text, '0'+byte(id))
	}
	return text
}

// What no suite could name or load is a fault of the program.
func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	load := func(context.Context, *task.Loader, string, plugins.Values) (task.Task, task.Data, error) {
		return nil, task.Data{}, nil
	}
	for want, d := range map[string]task.Definition{
		`two tasks "words"`:                     {Name: "words", Data: "x", Load: load},
		`"" lacks a name`:                       {Data: "x", Load: load},
		`"dataless" lacks a name, data or Load`: {Name: "dataless", Load: load},
		`"unloaded" lacks`:                      {Name: "unloaded", Data: "x"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("Register panicked with %s, want %s", got, want)
				}
			}()
			task.Register(d)
		}()
	}
	if len(task.Names()) != len(task.Definitions()) || slices.Contains(task.Names(), "dataless") {
		t.Errorf("tasks %v", task.Names())
	}
}
