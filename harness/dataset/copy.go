package dataset

import (
	"context"
	"math/rand/v2"

	"bittern/plugins"
)

// DelayedCopyClasses counts the symbols of [DelayedCopy].
const DelayedCopyClasses = 8

// maxCopySteps bounds the length of an example.
const maxCopySteps = 1 << 20

// DelayedCopy generates a memory task: the input of every step is one of the symbols
// 0 … [DelayedCopyClasses] − 1, each equally likely, and its target is the input Delay
// steps earlier. The first Delay steps have no target, which is −1. A network without
// memory can only guess: its accuracy is 1/8 and its loss log 8 nats.
type DelayedCopy struct {
	Length int // steps of an example, more than Delay
	Delay  int // at least 1
	Seed   uint64
}

// Check refuses settings that make no task.
func (c DelayedCopy) Check() error {
	if c.Delay < 1 || c.Length <= c.Delay || c.Length > maxCopySteps {
		return plugins.Problemf("the delayed copying task cannot have a delay of %d in %d steps; let the delay be at least 1, and the length more than that and at most %d",
			c.Delay, c.Length, maxCopySteps)
	}
	return nil
}

// Example writes the inputs and targets of example i, which depend on c and i
// alone. Both slices have length Length.
func (c DelayedCopy) Example(i uint64, inputs, targets []int32) {
	random := rand.New(rand.NewPCG(c.Seed, i))
	for step := range inputs {
		inputs[step] = int32(random.IntN(DelayedCopyClasses))
	}
	for step := range c.Delay {
		targets[step] = -1
	}
	copy(targets[c.Delay:], inputs)
}

// copySet lists the copying task beside the data sets.
type copySet struct{}

func (copySet) describe() Set {
	return Set{
		Name: "delayed-copy", Shape: ShapeSequence, Status: Generated, Summary: "memory task: repeat every symbol some steps later",
		Vocabulary: DelayedCopyClasses, Split: "drawn independently", Licence: ownLicence,
	}
}

func (copySet) locate(context.Context, string) ([]string, error) { return nil, nil }
