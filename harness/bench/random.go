package bench

import (
	"fmt"
	"math/rand/v2"

	"bittern/harness/metric"
	"bittern/harness/task"
	"bittern/plugins/model"
)

// random is a task over noise: a step's time does not depend on its data.
type random struct{ shape model.Task }

func (r random) Shape() model.Task     { return r.shape }
func (r random) Metric() metric.Metric { return metric.BPC }

func (r random) Training(uint64, int) task.Batches { return r }
func (r random) Evaluation(task.Part) task.Batches { return r }
func (r random) Sequences(task.Part, int) task.Sequences {
	return task.Sequences{Length: r.shape.Length}
}

// Len is how many batches calibration may take.
func (r random) Len() int { return 1 }

// Fill writes tokens, features and targets drawn from the batch's number.
func (r random) Fill(i int, inputs model.Inputs) (int, error) {
	source := rand.New(rand.NewPCG(uint64(i), 0))
	for name, tokens := range inputs.Int32 {
		below := r.shape.OutputSize
		if name == "inputs" {
			below = r.shape.InputSize
		}
		if below < 1 {
			return 0, fmt.Errorf("bench: the input tensor %s has no size", name)
		}
		for j := range tokens {
			tokens[j] = int32(source.IntN(below))
		}
	}
	for _, features := range inputs.Float32 {
		for j := range features {
			features[j] = source.Float32()
		}
	}
	return r.shape.Batch, nil
}
