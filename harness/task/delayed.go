package task

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/model"
)

// DelayedCopy repeats every symbol that is read some steps later; see
// [dataset.DelayedCopy]. It tells in seconds a recurrent layer that remembers from one
// that does not, and every step of it is graded: of the accuracy, Delay/Length is for
// blanks that need no memory, and 1/8 of the rest is chance.
//
// Every epoch has new examples. Those that validate and test are the same for all seeds.
type DelayedCopy struct {
	shape               model.Task
	delay               int
	examples, evaluated int
}

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
		shape: model.Task{
			Kind: model.LanguageModel, InputSize: dataset.DelayedCopyClasses, OutputSize: dataset.DelayedCopyClasses, Batch: batch, Length: length,
		},
	}, nil
}

// The examples of the parts have numbers apart from each other: those of training count
// from 0 with the experiment's seed, the others from these with a seed of 0.
const (
	firstValid = 1 << 62
	firstTest  = 1 << 63
)

// Shape implements [Task].
func (t *DelayedCopy) Shape() model.Task { return t.shape }

// Metric implements [Task].
func (t *DelayedCopy) Metric() metric.Metric { return metric.Accuracy }

// Training implements [Task].
func (t *DelayedCopy) Training(seed uint64, epoch int) Batches {
	count := t.examples / t.shape.Batch * t.shape.Batch
	return t.batches(seed, uint64(epoch)*uint64(t.examples), count)
}

// Evaluation implements [Task].
func (t *DelayedCopy) Evaluation(part Part) Batches {
	first, count := t.part(part)
	return t.batches(0, first, count)
}

// Sequences implements [Task].
func (t *DelayedCopy) Sequences(part Part, limit int) Sequences {
	first, count := t.part(part)
	if limit > 0 {
		count = min(count, limit)
	}
	length := t.shape.Length
	s := Sequences{Count: count, Length: length, Tokens: make([]int32, count*length), Targets: make([]int32, count*length)}
	for i := range count {
		t.generator(0).Example(first+uint64(i), s.Tokens[i*length:][:length], s.Targets[i*length:][:length])
	}
	return s
}

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
	return dataset.DelayedCopy{Length: t.shape.Length, Delay: t.delay, Seed: seed}
}

func (t *DelayedCopy) batches(seed, first uint64, count int) Batches {
	return &copyBatches{task: t, seed: seed, first: first, count: count}
}

// data identifies the task by the examples that validate and test.
func (t *DelayedCopy) data() Data {
	digest := sha256.New()
	for _, part := range []Part{Valid, Test} {
		s := t.Sequences(part, 0)
		for _, ids := range [][]int32{s.Tokens, s.Targets} {
			for _, id := range ids {
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
func (b *copyBatches) Len() int { return (b.count + b.task.shape.Batch - 1) / b.task.shape.Batch }

// Fill implements [Batches].
func (b *copyBatches) Fill(i int, tensors model.Inputs) (valid int, err error) {
	if i < 0 || i >= b.Len() {
		return 0, fmt.Errorf("there is no batch %d among %d", i, b.Len())
	}
	batch, length := b.task.shape.Batch, b.task.shape.Length
	inputs, targets := tensors.Int32[inputsName], tensors.Int32[targetsName]
	if len(inputs) != length*batch || len(targets) != length*batch {
		return 0, fmt.Errorf("the tensors inputs and targets have %d and %d elements; [%d, %d] are needed", len(inputs), len(targets), length, batch)
	}
	valid = min(batch, b.count-i*batch)
	tokens, answers := make([]int32, length), make([]int32, length)
	for column := range batch {
		seed, number := uint64(0), uint64(column-valid)
		if column < valid {
			seed, number = b.seed, b.first+uint64(i*batch+column)
		}
		b.task.generator(seed).Example(number, tokens, answers)
		for step := range length {
			inputs[step*batch+column], targets[step*batch+column] = tokens[step], answers[step]
		}
	}
	return valid, nil
}
