package task

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/model"
)

// LanguageModel predicts the next symbol of a text.
//
// The text is cut into windows of Length inputs; the targets of a window are its
// inputs moved on by one symbol. The state starts anew in each window.
//
// In training the windows of an epoch do not overlap, begin at an offset drawn
// from [0, Length), and come in random order. An epoch has
// ⌊(N − Length)/Length⌋ windows of a text of N symbols, as many as fit behind the
// largest offset; the last partial batch is dropped.
//
// In evaluation the windows begin at 0 and come in order. All ⌊(N − 1)/Length⌋
// of them count; what is dropped is the tail that fills no window, fewer than
// Length targets. A last, partial batch is filled up with the first windows of the
// training part, which begin at 0, Length, 2·Length and so on. There are enough
// of them, because the training part has windows for a whole batch.
type LanguageModel struct {
	shape model.Task
	text  *dataset.Text
}

var _ Task = (*LanguageModel)(nil)

// NewLanguageModel checks that the text has a batch to train on and a window to
// validate and test on, and that every symbol is in the vocabulary.
func NewLanguageModel(text *dataset.Text, batch, length int) (*LanguageModel, error) {
	if batch < 1 || length < 1 {
		return nil, plugins.Problemf("a language model needs batches of at least 1 sequence of at least 1 symbol, not %d × %d", batch, length)
	}
	symbols := len(text.Vocabulary)
	task := &LanguageModel{
		text: text,
		shape: model.Task{
			Kind: model.LanguageModel, InputSize: symbols, OutputSize: symbols,
			Batch: batch, Length: length,
		},
	}
	for _, part := range []Part{Train, Valid, Test} {
		for i, id := range task.part(part) {
			if id < 0 || int(id) >= symbols {
				return nil, fmt.Errorf("data set %s: symbol %d of the %s part has id %d, but the vocabulary has %d symbols",
					text.Name, i, part, id, symbols)
			}
		}
	}
	if windows := task.trainingWindows(); windows < batch {
		return nil, plugins.Problemf("data set %s: the train part of %d symbols gives %d windows of %d, less than one batch of %d; use a smaller batch, a shorter length or more of the data",
			text.Name, len(text.Train), windows, length, batch)
	}
	for _, part := range []Part{Valid, Test} {
		if task.windows(part) < 1 {
			return nil, plugins.Problemf("data set %s: the %s part of %d symbols is shorter than one window of %d and the symbol after it; use a shorter length or more of the data",
				text.Name, part, len(task.part(part)), length)
		}
	}
	return task, nil
}

// Shape implements [Task].
func (t *LanguageModel) Shape() model.Task { return t.shape }

// Metric implements [Task].
func (t *LanguageModel) Metric() metric.Metric { return metric.BPC }

// Training implements [Task].
func (t *LanguageModel) Training(seed uint64, epoch int) Batches {
	random := rand.New(rand.NewChaCha8(epochKey(seed, epoch)))
	offset := random.IntN(t.shape.Length)
	starts := make([]int, t.trainingWindows())
	for i, window := range random.Perm(len(starts)) {
		starts[i] = offset + window*t.shape.Length
	}
	whole := len(starts) / t.shape.Batch * t.shape.Batch
	return &windowBatches{shape: t.shape, symbols: t.text.Train, starts: starts[:whole], filling: t.text.Train}
}

// Evaluation implements [Task].
func (t *LanguageModel) Evaluation(part Part) Batches {
	starts := make([]int, t.windows(part))
	for i := range starts {
		starts[i] = i * t.shape.Length
	}
	return &windowBatches{shape: t.shape, symbols: t.part(part), starts: starts, filling: t.text.Train}
}

// Sequences implements [Task].
func (t *LanguageModel) Sequences(part Part, limit int) Sequences {
	count := t.windows(part)
	if limit > 0 {
		count = min(count, limit)
	}
	symbols, n := t.part(part), count*t.shape.Length
	return Sequences{
		Count: count, Length: t.shape.Length,
		Tokens: symbols[:n:n], Targets: symbols[1 : n+1 : n+1],
	}
}

func (t *LanguageModel) part(part Part) []int32 {
	switch part {
	case Train:
		return t.text.Train
	case Valid:
		return t.text.Valid
	case Test:
		return t.text.Test
	}
	panic("task: unknown part " + string(part))
}

func (t *LanguageModel) trainingWindows() int {
	return max(0, len(t.text.Train)-t.shape.Length) / t.shape.Length
}

func (t *LanguageModel) windows(part Part) int {
	return max(0, len(t.part(part))-1) / t.shape.Length
}

// epochKey keys the random numbers of one epoch.
func epochKey(seed uint64, epoch int) (key [32]byte) {
	copy(key[:], "bittern epoch") // apart from every other use of the seed
	binary.LittleEndian.PutUint64(key[16:], seed)
	binary.LittleEndian.PutUint64(key[24:], uint64(epoch))
	return key
}

// windowBatches cuts windows out of a text.
type windowBatches struct {
	shape   model.Task
	symbols []int32
	starts  []int   // first symbol of each window
	filling []int32 // text whose first windows fill up the last batch
}

// Len implements [Batches].
func (b *windowBatches) Len() int {
	return (len(b.starts) + b.shape.Batch - 1) / b.shape.Batch
}

// Fill implements [Batches].
func (b *windowBatches) Fill(i int, tensors model.Inputs) (valid int, err error) {
	if i < 0 || i >= b.Len() {
		return 0, fmt.Errorf("there is no batch %d among %d", i, b.Len())
	}
	batch, length := b.shape.Batch, b.shape.Length
	inputs, targets := tensors.Int32[inputsName], tensors.Int32[targetsName]
	if len(inputs) != length*batch || len(targets) != length*batch {
		return 0, fmt.Errorf("the tensors inputs and targets have %d and %d elements; [%d, %d] are needed",
			len(inputs), len(targets), length, batch)
	}
	first := i * batch
	valid = min(batch, len(b.starts)-first)
	for column := range batch {
		text, start := b.filling, (column-valid)*length
		if column < valid {
			text, start = b.symbols, b.starts[first+column]
		}
		symbols := text[start : start+length+1]
		for step := range length {
			inputs[step*batch+column] = symbols[step]
			targets[step*batch+column] = symbols[step+1]
		}
	}
	return valid, nil
}
