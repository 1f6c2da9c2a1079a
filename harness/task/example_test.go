package task_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"bittern/harness/metric"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/network"
)

// parity asks whether a sequence of bits has an odd number of ones. Every epoch has new
// sequences; those that validate and test are the same for all seeds.
type parity struct{ shape network.Shape }

func newParity(sequences, bits int) parity {
	return parity{network.Shape{
		Inputs:    []network.Input{{Name: "bits", Role: network.Tokens, Stream: "bits", Size: 2}},
		Steps:     map[string]int{"bits": bits},
		Sequences: sequences, Classes: 2, // and one target a sequence, for Targets names no stream
	}}
}

func (p parity) Shape() network.Shape  { return p.shape }
func (p parity) Metric() metric.Metric { return metric.Accuracy }
func (p parity) Steps() map[string]int { return p.shape.Steps }

func (p parity) Training(seed uint64, epoch int) task.Batches {
	return drawn{p.shape, 100, seed, 2 + uint64(epoch)}
}

func (p parity) Evaluation(part task.Part) task.Batches {
	first := map[task.Part]uint64{task.Valid: 0, task.Test: 1}[part]
	return drawn{p.shape, 10, 0, first}
}

// drawn are batches of which each depends on the numbers below and its own alone.
type drawn struct {
	shape       network.Shape
	count       int
	seed, epoch uint64
}

func (d drawn) Len() int         { return d.count }
func (d drawn) Group(int) string { return "" } // the score has no parts

func (d drawn) Fill(i int, b network.Batch) error {
	if err := task.Ready(i, d.Len(), d.shape, b); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(d.seed, d.epoch<<32|uint64(i)))
	clear(b.Targets)
	bits := b.Int32["bits"]
	for at := range bits { // step after step, each of all sequences
		bits[at] = int32(random.IntN(2))
		b.Targets[at%b.Sequences] ^= bits[at]
	}
	return nil
}

// registerParity is what the package's init function would do.
func registerParity() {
	task.Register(task.Definition{
		Name: "parity", Summary: "is the number of ones odd?; generated; accuracy, of which 50 % is chance", Unit: "sequences",
		Data: "parity", // its own, generated
		Options: []plugins.Option{
			{Name: "batch", Type: plugins.Int, Default: "32", Min: 1, Max: 1 << 16, Doc: "sequences in a batch"},
			{Name: "bits", Type: plugins.Int, Default: "16", Min: 1, Max: 1 << 20, Doc: "bits of a sequence"},
		},
		Load: func(_ context.Context, _ *task.Loader, _ string, o plugins.Values) (task.Task, task.Data, error) {
			data := task.Data{Name: "parity", SHA256: "parity 1", Synthetic: true, Split: "drawn independently", Summary: "100 batches an epoch"}
			return newParity(o.Int("batch"), o.Int("bits")), data, nil
		},
	})
}

// A task of another shape is one package outside this one: a Task, its Batches, and a
// Definition that the package's init function registers. A suite can name it then.
func Example() {
	registerParity()

	s, err := suite.Parse("mine", []byte(`
name: mine
seeds: [1]
tasks: [{task: parity, batch: 3, bits: 4}]
models: [{plugin: lstm}]
quantizers: [{plugin: stochastic-binary}]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	entry := s.Tasks[0]
	loaded, err := new(task.Loader).Load(context.Background(), task.Request{Task: entry.Task, Data: entry.Data, Options: entry.Options})
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := loaded.Task.Shape().Allocate()
	if err := loaded.Task.Evaluation(task.Test).Fill(0, batch); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(entry.Label, "is scored by", loaded.Task.Metric())
	for sequence := range batch.Sequences {
		for step := range batch.Steps["bits"] {
			fmt.Print(batch.Int32["bits"][step*batch.Sequences+sequence], " ")
		}
		fmt.Println("→", batch.Targets[sequence])
	}
	// Output:
	// parity is scored by accuracy %
	// 1 0 1 1 → 1
	// 1 1 1 0 → 1
	// 1 1 1 0 → 1
}
