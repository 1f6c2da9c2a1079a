package task

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/network"
)

// DelayedCopy repeats every symbol that is read some steps later; see
// [dataset.DelayedCopy]. It tells in seconds a recurrent layer that remembers from one
// that does not. The steps after the delay are graded, the ones before it have no
// target: chance is an accuracy of 1/8.
//
// Every epoch has new examples. Those that validate and test are the same for all seeds.
type DelayedCopy struct {
	shape               network.Shape
	delay               int
	examples, evaluated int
}

// symbolsName is the name of the input and of its stream.
const symbolsName = "symbols"

var _ Task = (*DelayedCopy)(nil)

// NewDelayedCopy makes the task of a number of training examples an epoch, and of
// evaluated examples that validate and as many that test.
func NewDelayedCopy(batch, length, delay, examples, evaluated int) (*DelayedCopy, error) {
	if err := (dataset.DelayedCopy{Length: length, Delay: delay}).Check(); err != nil {
		return nil, err
	}
	if batch < 1 || examples < batch || evaluated < 1 {
		return nil, plugins.Problemf("the delayed copying task cannot have batches of %d of %d examples, and %d evaluated; let there be at least one batch of examples and 1 evaluated",
			batch, examples, evaluated)
	}
	return &DelayedCopy{
		delay: delay, examples: examples, evaluated: evaluated,
		shape: nextToken(symbolsName, dataset.DelayedCopyClasses, batch, length),
	}, nil
}

// The examples of the parts have numbers apart from each other: those of training count
// from 0 with the experiment's seed, the others from these with a seed of 0.
const (
	firstValid = 1 << 62
	firstTest  = 1 << 63
)

// Shape implements [Task].
func (t *DelayedCopy) Shape() network.Shape { return t.shape }

// Metric implements [Task].
func (t *DelayedCopy) Metric() metric.Metric { return metric.Accuracy }

// Training implements [Task].
func (t *DelayedCopy) Training(seed uint64, epoch int) Batches {
	count := t.examples / t.shape.Sequences * t.shape.Sequences
	return t.batches(seed, uint64(epoch)*uint64(t.examples), count)
}

// Evaluation implements [Task].
func (t *DelayedCopy) Evaluation(part Part) Batches {
	first, count := t.part(part)
	return t.batches(0, first, count)
}

// Steps implements [Task].
func (t *DelayedCopy) Steps() map[string]int { return t.shape.Steps }

func (t *DelayedCopy) part(part Part) (first uint64, count int) {
	switch part {
	case Train:
		return 0, t.examples
	case Valid:
		return firstValid, t.evaluated
	case Test:
		return firstTest, t.evaluated
	}
	panic("task: unknown part " + string(part))
}

func (t *DelayedCopy) generator(seed uint64) dataset.DelayedCopy {
	return dataset.DelayedCopy{Length: t.shape.Steps[symbolsName], Delay: t.delay, Seed: seed}
}

func (t *DelayedCopy) batches(seed, first uint64, count int) Batches {
	return &copyBatches{task: t, seed: seed, first: first, count: count}
}

// data identifies the task by the examples that validate and test.
func (t *DelayedCopy) data() Data {
	digest, length := sha256.New(), t.shape.Steps[symbolsName]
	tokens, targets := make([]int32, length), make([]int32, length)
	for _, part := range []Part{Valid, Test} {
		first, count := t.part(part)
		for i := range count {
			t.generator(0).Example(first+uint64(i), tokens, targets)
			for _, id := range slices.Concat(tokens, targets) {
				digest.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
			}
		}
	}
	return Data{
		Name: delayedCopyData, SHA256: hex.EncodeToString(digest.Sum(nil)), Synthetic: true, Split: "drawn independently",
		Summary: fmt.Sprintf("%d examples an epoch, %d validate and as many test", t.examples, t.evaluated),
	}
}

// copyBatches shows the examples from number first on.
type copyBatches struct {
	task        *DelayedCopy
	seed, first uint64
	count       int
}

// Len implements [Batches].
func (b *copyBatches) Len() int {
	return (b.count + b.task.shape.Sequences - 1) / b.task.shape.Sequences
}

// Group implements [Batches].
func (b *copyBatches) Group(int) string { return "" }

// Fill implements [Batches].
func (b *copyBatches) Fill(i int, batch network.Batch) error {
	if err := Ready(i, b.Len(), b.task.shape, batch); err != nil {
		return err
	}
	n, length := batch.Sequences, batch.Steps[symbolsName]
	counted := min(n, b.count-i*n)
	tokens, targets := make([]int32, length), make([]int32, length)
	for column := range n {
		if column < counted {
			b.task.generator(b.seed).Example(b.first+uint64(i*n+column), tokens, targets)
		} else { // filling
			b.task.generator(0).Example(uint64(column-counted), tokens, targets)
			for step := range targets {
				targets[step] = -1
			}
		}
		for step := range length {
			batch.Int32[symbolsName][step*n+column], batch.Targets[step*n+column] = tokens[step], targets[step]
		}
	}
	return nil
}
