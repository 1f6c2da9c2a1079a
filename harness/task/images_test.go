package task_test

import (
	"bytes"
	"context"
	"encoding/binary"
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

// idx writes an IDX file and returns its path.
func idx(t *testing.T, name string, data []byte, dims ...int) string {
	t.Helper()
	var b bytes.Buffer
	b.Write([]byte{0, 0, 8, byte(len(dims))})
	for _, dim := range dims {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(dim)))
	}
	b.Write(data)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tiny are the options of a data set of 9 + 3 + 5 images of 2 x 3 pixels: pixel j of
// image i is 10·i + j, those of the test part counted from 15 on, and its class i mod 3.
func tiny(t *testing.T) plugins.Values {
	t.Helper()
	write := func(name string, first, n int) (images, labels string) {
		var pixels, classes []byte
		for i := range n {
			for j := range 6 {
				pixels = append(pixels, byte(10*(first+i)+j))
			}
			classes = append(classes, byte((first+i)%3))
		}
		return idx(t, name+"-images", pixels, n, 2, 3), idx(t, name+"-labels", classes, n)
	}
	o := plugins.Values{"batch": "4", "valid": "3"}
	o["train_images"], o["train_labels"] = write("train", 0, 12)
	o["test_images"], o["test_labels"] = write("test", 15, 5)
	return o
}

func load(t *testing.T, name string, options plugins.Values) task.Loaded {
	t.Helper()
	loaded, err := new(task.Loader).Load(t.Context(), task.Request{Task: name, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// shown fills batch i, checks every pixel and class, and returns the numbers of the
// images and how many of them have a target.
func shown(t *testing.T, images task.Task, batches task.Batches, i int, order []int) (numbers []int, counted int) {
	t.Helper()
	shape := images.Shape()
	b := shape.Allocate()
	if err := batches.Fill(i, b); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(shape); err != nil {
		t.Fatal(err)
	}
	pixels := b.Float32["pixels"]
	for column := range 4 {
		number := (int(pixels[column]*255+0.5) - order[0]) / 10
		numbers = append(numbers, number)
		for step, pixel := range order {
			if got, want := pixels[step*4+column], float32(10*number+pixel)/255; got != want {
				t.Fatalf("batch %d, image %d, step %d shows %v, want pixel %d: %v", i, number, step, got, pixel, want)
			}
		}
		switch got := b.Targets[column]; {
		case got == -1:
		case int(got) != number%3 || counted != column:
			t.Fatalf("batch %d, image %d has the class %d, want %d", i, number, got, number%3)
		default:
			counted++
		}
	}
	return numbers, counted
}

func TestSequentialImages(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{"smnist": {0, 1, 2, 3, 4, 5}, "psmnist": dataset.Permutation(6, dataset.PermutationSeed)} {
		loaded := load(t, name, tiny(t))
		images := loaded.Task
		want := network.Shape{
			Inputs: []network.Input{{Name: "pixels", Role: network.Features, Stream: "pixels", Size: 1}},
			Steps:  map[string]int{"pixels": 6}, Sequences: 4, Classes: 3,
		}
		if diff := cmp.Diff(want, images.Shape()); diff != "" || images.Metric() != metric.Accuracy {
			t.Errorf("%s is scored by %s and has the shape (-want +got):\n%s", name, images.Metric(), diff)
		}
		if d := loaded.Data; d.Name != "images:train-images" || len(d.SHA256) != 64 || d.Summary != "9 + 3 + 5 images of 2 x 3, 3 classes" {
			t.Errorf("%s: data %+v", name, d)
		}
		if diff := cmp.Diff(plugins.Values{"batch": "4", "valid": "3"}, loaded.Options); diff != "" {
			t.Errorf("%s: options that identify it (-want +got):\n%s", name, diff)
		}

		// Every epoch shows 8 of the 9 in another order, the same for the same seed.
		orders := map[string]bool{}
		for epoch := range 5 {
			batches := images.Training(7, epoch)
			if batches.Len() != 2 {
				t.Fatalf("%s: %d batches, want 2", name, batches.Len())
			}
			second, valid := shown(t, images, batches, 1, order)
			first, _ := shown(t, images, batches, 0, order)
			all := slices.Concat(first, second)
			orders[fmt.Sprint(all)] = true
			again, _ := shown(t, images, images.Training(7, epoch), 1, order)
			if !slices.Equal(again, second) || valid != 4 {
				t.Errorf("%s, epoch %d: batch 1 is once %v and once %v, %d count", name, epoch, second, again, valid)
			}
			slices.Sort(all)
			if len(slices.Compact(all)) != 8 || all[7] > 8 {
				t.Errorf("%s, epoch %d shows %v, want 8 different images of the first 9", name, epoch, all)
			}
		}
		if len(orders) != 5 {
			t.Errorf("%s: %d orders in 5 epochs: %v", name, len(orders), orders)
		}

		// Evaluation is in order; training images fill up the last batch.
		for part, want := range map[task.Part][][]int{
			task.Valid: {{9, 10, 11, 0}}, task.Test: {{15, 16, 17, 18}, {19, 0, 1, 2}},
		} {
			batches := images.Evaluation(part)
			for i := range batches.Len() {
				got, valid := shown(t, images, batches, i, order)
				counted := map[task.Part][]int{task.Valid: {3}, task.Test: {4, 1}}[part][i]
				if batches.Len() != len(want) || !slices.Equal(got, want[i]) || valid != counted {
					t.Errorf("%s, %s, batch %d of %d: images %v, %d count; want %v, %d", name, part, i, batches.Len(), got, valid, want[i], counted)
				}
			}
		}
	}
}

func TestImagesTooFewForABatch(t *testing.T) {
	t.Parallel()
	o := tiny(t)
	o["batch"] = "10"
	_, err := new(task.Loader).Load(t.Context(), task.Request{Task: "smnist", Options: o})
	problem(t, err, "the train part of 9 images is less than one batch of 10")
}

func TestImagesFillRefuses(t *testing.T) {
	t.Parallel()
	images := load(t, "smnist", tiny(t)).Task
	shape := images.Shape()
	if err := images.Training(1, 0).Fill(2, shape.Allocate()); err == nil {
		t.Error("batch 2 of 2 was filled")
	}
	shape.Steps = map[string]int{"pixels": 5}
	if err := images.Training(1, 0).Fill(0, shape.Allocate()); err == nil || !strings.Contains(err.Error(), "the batch has 5 steps of the stream \"pixels\" where 6 are") {
		t.Errorf("short tensors: %v, want the shape that is needed", err)
	}
}

// The published data set, where it is at hand: its parts, and the first image to test on.
func TestPublishedMNIST(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(filepath.Join(folder, "mnist")); err != nil {
		t.Skip("skipped loading MNIST: ../shared/data is not there")
	}
	loaded, err := (&task.Loader{DataDir: folder}).Load(context.Background(), task.Request{Task: "smnist"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "50000 + 10000 + 10000 images of 28 x 28, 10 classes"; loaded.Data.Name != "mnist" || loaded.Data.Summary != want {
		t.Errorf("data %s: %s, want mnist: %s", loaded.Data.Name, loaded.Data.Summary, want)
	}
	images := loaded.Task
	for part, want := range map[task.Part]int{task.Valid: 100, task.Test: 100} {
		if got := images.Evaluation(part).Len(); got != want {
			t.Errorf("%s has %d batches, want %d", part, got, want)
		}
	}
	if got := images.Training(1, 0).Len(); got != 500 {
		t.Errorf("an epoch has %d batches, want 500", got)
	}
	in := images.Shape().Allocate()
	if err := images.Evaluation(task.Test).Fill(0, in); err != nil {
		t.Fatal(err)
	}
	if got, want := in.Targets[:10], []int32{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("the first classes of the test part are %v, want %v", got, want)
	}
	// The first test image is a 7: its first ink is in row 7, at column 6.
	first := -1
	for step := range 784 {
		if first < 0 && in.Float32["pixels"][step*100] > 0 {
			first = step
		}
	}
	if first != 7*28+6 || in.Float32["pixels"][first*100] != 84./255 {
		t.Errorf("the first ink of the first test image is at step %d, %v; want %d, %v", first, in.Float32["pixels"][max(0, first)*100], 7*28+6, 84./255)
	}
}
