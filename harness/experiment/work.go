package experiment

import (
	"context"

	"bittern/harness/task"
)

// Size is what plugins say of an experiment before it is run. It is the zero Size where one of
// them does not answer.
type Size struct {
	Weights    int  // that are quantized
	Statistics bool // normalization has statistics that are gathered for deployment
}

// Size asks the plugins of an experiment for it.
func (c *Checker) Size(ctx context.Context, spec *Spec) Size {
	a, err := c.ask(ctx, spec, spec.Loaded.Task)
	if err != nil {
		return Size{}
	}
	var size Size
	for _, shape := range weightShapes(a.plan) {
		size.Weights += shape.Rows * shape.Cols
	}
	for _, b := range a.plan.Buffers {
		size.Statistics = size.Statistics || b.Statistic
	}
	return size
}

// Work compares how long experiments take, and the parts of one: it counts multiplications with
// quantized weights. It is zero where they are not known.
type Work struct {
	Steps       float64 // training
	Validations float64 // beside it
	Freeze      float64 // with the scores of the frozen network
	Deployments float64 // together taken for one pass over the test part
}

// Total is the sum of the parts.
func (w Work) Total() float64 { return w.Steps + w.Validations + w.Freeze + w.Deployments }

// Work is what an experiment of a size takes. Whether its quantizer draws weights is known only
// when it runs: here each is taken for one that does, so that Freeze is rather too much.
func (s *Spec) Work(size Size) Work {
	t := s.Loaded.Task
	perPass := t.Training(s.Seed, 0).Len()
	steps := s.Task.Training.Planned(perPass)
	validations, freeze := scoredBatches(s, steps, perPass, true, size.Statistics)
	const perStep = 3 // products: one forward, two backward
	batch := float64(size.Weights) * float64(t.Shape().Sequences) * float64(total(t.Shape().Steps))
	w := Work{Steps: perStep * float64(steps) * batch, Validations: float64(validations) * batch, Freeze: float64(freeze) * batch}
	if len(s.Backends) > 0 {
		w.Deployments = float64(t.Evaluation(task.Test).Len()) * batch
	}
	return w
}
