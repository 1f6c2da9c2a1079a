package task_test

import (
	"errors"
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
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
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
	if diff := cmp.Diff([]string{"characters", "smnist", "psmnist", "delayed-copy"}, task.Names()); diff != "" {
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
	want := model.Task{Kind: model.LanguageModel, InputSize: 9, OutputSize: 9, Batch: 3, Length: 6}
	if copying.Shape() != want || copying.Metric() != metric.Accuracy || !loaded.Data.Synthetic || len(loaded.Data.SHA256) != 64 {
		t.Errorf("shape %+v, metric %s, data %+v", copying.Shape(), copying.Metric(), loaded.Data)
	}
	// column is one example as a batch shows it; its targets are checked.
	seen := map[string]bool{}
	read := func(batches task.Batches, i int) (valid int, columns [][]int32) {
		in := tensors(3, 6)
		valid, err := batches.Fill(i, in)
		if err != nil {
			t.Fatal(err)
		}
		for column := range 3 {
			var tokens []int32
			for step := range 6 {
				tokens = append(tokens, in.Int32["inputs"][step*3+column])
				want := int32(0)
				if step >= 2 {
					want = tokens[step-2]
				}
				if got := in.Int32["targets"][step*3+column]; got != want {
					t.Fatalf("batch %d, example %d, step %d: target %d, want %d", i, column, step, got, want)
				}
			}
			columns = append(columns, tokens)
		}
		return valid, columns
	}
	for seed := range uint64(2) {
		for epoch := range 3 {
			batches := copying.Training(seed, epoch)
			if batches.Len() != 2 {
				t.Fatalf("%d batches, want 2 of 7 examples", batches.Len())
			}
			for i := range 2 {
				_, columns := read(batches, i)
				_, again := read(copying.Training(seed, epoch), i)
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
		batches, s := copying.Evaluation(part), copying.Sequences(part, 0)
		if batches.Len() != 2 || s.Count != 4 || copying.Sequences(part, 3).Count != 3 {
			t.Fatalf("%s: %d batches, %d sequences, want 2 and 4", part, batches.Len(), s.Count)
		}
		for i := range 4 {
			valid, columns := read(batches, i/3)
			if want := []int{3, 1}[i/3]; valid != want || !slices.Equal(columns[i%3], s.Tokens[6*i:][:6]) {
				t.Errorf("%s, example %d: %d count, tokens %v; want %d, and %v as a machine gets them", part, i, valid, columns[i%3], want, s.Tokens[6*i:][:6])
			}
			if seen[string(int32s(columns[i%3]))] {
				t.Errorf("%s: example %v was seen before", part, columns[i%3])
			}
			seen[string(int32s(columns[i%3]))] = true
		}
	}
}

func int32s(ids []int32) (text []byte) {
	for _, id := range ids {
		text = append(text, '0'+byte(id))
	}
	return text
}

func TestTensorsAndGraphs(t *testing.T) {
	t.Parallel()
	language := model.Task{Kind: model.LanguageModel, InputSize: 5, OutputSize: 5, Batch: 2, Length: 3}
	classes := model.Task{Kind: model.SequenceClassification, InputSize: 4, OutputSize: 5, Batch: 2, Length: 3}
	for _, c := range []struct {
		shape model.Task
		want  []task.Tensor
	}{
		{language, []task.Tensor{{Name: "inputs", Dims: []int{3, 2}}, {Name: "targets", Dims: []int{3, 2}}}},
		{classes, []task.Tensor{{Name: "inputs", Float32: true, Dims: []int{3, 2, 4}}, {Name: "targets", Dims: []int{2}}}},
	} {
		got, err := task.Tensors(c.shape)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("tensors of a %s: %v (-want +got):\n%s", c.shape.Kind, err, diff)
		}
	}
	if _, err := task.Tensors(model.Task{Kind: "guess"}); err == nil {
		t.Error("a task of an unknown kind has tensors")
	}
	graph := func(token bool, input, output int) stepgraph.Graph {
		return stepgraph.Graph{
			Input: stepgraph.Input{Name: "x", Token: token, Size: input}, Output: "y",
			Nodes: []stepgraph.Node{{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: output}},
		}
	}
	for _, c := range []struct {
		graph stepgraph.Graph
		shape model.Task
		want  string
	}{
		{graph(true, 5, 5), language, ""},
		{graph(false, 4, 5), classes, ""},
		{graph(false, 5, 5), language, "is not the task's (token true, size 5)"},
		{graph(false, 3, 5), classes, "is not the task's (token false, size 4)"},
		{graph(true, 5, 6), language, "has 6 values for 5 classes"},
	} {
		if err := task.CheckGraph(c.graph, c.shape); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("a graph of input %+v for a %s: %v, want %q", c.graph.Input, c.shape.Kind, err, c.want)
		}
	}
}
