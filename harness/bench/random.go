package bench

import (
	"math/rand/v2"

	"bittern/harness/metric"
	"bittern/harness/task"
	"bittern/plugins/network"
)

// stream is the name of the only stream.
const stream = "sequence"

// characterShape returns the shape of a batch for predicting the next symbol, out of this many
// symbols.
func characterShape(symbols, sequences, steps int) network.Shape {
	return network.Shape{
		Inputs: []network.Input{{Name: "inputs", Role: network.Tokens, Stream: stream, Size: symbols}},
		Steps:  map[string]int{stream: steps}, Sequences: sequences, Classes: symbols, Targets: stream,
	}
}

// random is a task of random data, since the time of a step does not depend on its data. All
// sequences have all steps, all classes are candidates, and with carried state no sequence
// starts fresh.
type random struct{ shape network.Shape }

func (r random) Shape() network.Shape  { return r.shape }
func (r random) Metric() metric.Metric { return metric.BPC }
func (r random) Steps() map[string]int { return r.shape.Steps }

func (r random) Training(uint64, int) task.Batches { return r }
func (r random) Evaluation(task.Part) task.Batches { return r }

// Len is the number of batches for calibration.
func (r random) Len() int { return 1 }

func (r random) Group(int) string { return "" }

// Fill writes random tokens, features and targets; the seed is the number of the batch.
func (r random) Fill(i int, b network.Batch) error {
	if err := task.Ready(i, r.Len(), r.shape, b); err != nil {
		return err
	}
	source := rand.New(rand.NewPCG(uint64(i), 0))
	for _, in := range r.shape.Inputs {
		for j := range b.Int32[in.Name] {
			switch in.Role {
			case network.Lengths:
				b.Int32[in.Name][j] = int32(r.shape.Steps[in.Stream])
			case network.Candidates:
				b.Int32[in.Name][j] = 1
			default:
				b.Int32[in.Name][j] = int32(source.IntN(in.Size))
			}
		}
		for j := range b.Float32[in.Name] {
			b.Float32[in.Name][j] = source.Float32()
		}
	}
	clear(b.Fresh)
	for j := range b.Targets {
		b.Targets[j] = int32(source.IntN(r.shape.Classes))
	}
	return nil
}
