package task

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/network"
)

// LanguageModel predicts the next symbol of a text.
//
// The text is cut into windows of Length inputs. The target at each input is the symbol after
// it. The state starts anew in each window.
//
// In training the windows of an epoch do not overlap, begin at an offset drawn
// from [0, Length), and come in random order. An epoch has
// ⌊(N − Length)/Length⌋ windows of a text of N symbols, as many as fit behind the
// largest offset; the last partial batch is dropped.
//
// In evaluation the windows begin at 0 and come in order, and every symbol of the
// part except the first is a target once: there are ⌈(N − 1)/Length⌉ windows. If the last
// window is too short, symbols of the training part at the same steps fill it up; they
// are not targets. If the last batch is too small, windows of the training part fill it
// up, which begin at 0, Length, 2·Length and so on. There are enough of them, because the
// training part has windows for a whole batch.
type LanguageModel struct {
	shape network.Shape
	text  *dataset.Text
}

// textName is the name of the input and of its stream.
const textName = "text"

var _ Task = (*LanguageModel)(nil)

// NewLanguageModel checks that the text has a batch to train on and a target to
// validate and test on, and that every symbol is in the vocabulary.
func NewLanguageModel(text *dataset.Text, batch, length int) (*LanguageModel, error) {
	if batch < 1 || length < 1 {
		return nil, plugins.Problemf("a language model needs batches of at least 1 sequence of at least 1 symbol, not %d × %d", batch, length)
	}
	symbols := len(text.Vocabulary)
	task := &LanguageModel{text: text, shape: nextToken(textName, symbols, batch, length)}
	for _, part := range []Part{Train, Valid, Test} {
		if err := checkTokens(text.Name, "symbol", part, task.part(part), symbols); err != nil {
			return nil, err
		}
	}
	if windows := task.trainingWindows(); windows < batch {
		return nil, plugins.Problemf("data set %s: the train part of %d symbols gives %d windows of %d, less than one batch of %d; use a smaller batch, a shorter length or more of the data",
			text.Name, len(text.Train), windows, length, batch)
	}
	for _, part := range []Part{Valid, Test} {
		if n := len(task.part(part)); n < 2 {
			return nil, plugins.Problemf("data set %s: the %s part of %d symbols has no symbol with another before it; use more of the data", text.Name, part, n)
		}
	}
	return task, nil
}

// nextToken is the shape of a task that predicts the next token of a stream.
func nextToken(name string, tokens, batch, length int) network.Shape {
	return network.Shape{
		Inputs:    []network.Input{{Name: name, Role: network.Tokens, Stream: name, Size: tokens}},
		Steps:     map[string]int{name: length},
		Sequences: batch, Classes: tokens, Targets: name,
	}
}

// checkTokens refuses ids that are not below limit.
func checkTokens[ID byte | int32](data, what string, part Part, ids []ID, limit int) error {
	for i, id := range ids {
		if int(id) < 0 || int(id) >= limit {
			return fmt.Errorf("data set %s: %s %d of the %s part has id %d, but the vocabulary has %d %ss", data, what, i, part, id, limit, what)
		}
	}
	return nil
}

// Shape implements [Task].
func (t *LanguageModel) Shape() network.Shape { return t.shape }

// Metric implements [Task].
func (t *LanguageModel) Metric() metric.Metric { return metric.BPC }

// Steps implements [Task].
func (t *LanguageModel) Steps() map[string]int { return t.shape.Steps }

// Training implements [Task].
func (t *LanguageModel) Training(seed uint64, epoch int) Batches {
	random := rand.New(rand.NewChaCha8(epochKey(seed, epoch)))
	length := t.length()
	offset := random.IntN(length)
	starts := make([]int, t.trainingWindows())
	for i, window := range random.Perm(len(starts)) {
		starts[i] = offset + window*length
	}
	whole := len(starts) / t.shape.Sequences * t.shape.Sequences
	return &windowBatches{task: t, symbols: t.text.Train, starts: starts[:whole]}
}

// Evaluation implements [Task].
func (t *LanguageModel) Evaluation(part Part) Batches {
	symbols, length := t.part(part), t.length()
	starts := make([]int, (len(symbols)-1+length-1)/length)
	for i := range starts {
		starts[i] = i * length
	}
	return &windowBatches{task: t, symbols: symbols, starts: starts}
}

func (t *LanguageModel) part(part Part) []byte {
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

func (t *LanguageModel) length() int { return t.shape.Steps[textName] }

func (t *LanguageModel) trainingWindows() int {
	return max(0, len(t.text.Train)-t.length()) / t.length()
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
	task    *LanguageModel
	symbols []byte
	starts  []int // first symbol of each window
}

// Len implements [Batches].
func (b *windowBatches) Len() int {
	return (len(b.starts) + b.task.shape.Sequences - 1) / b.task.shape.Sequences
}

// Group implements [Batches].
func (b *windowBatches) Group(int) string { return "" }

// Fill implements [Batches].
func (b *windowBatches) Fill(i int, batch network.Batch) error {
	if err := Ready(i, b.Len(), b.task.shape, batch); err != nil {
		return err
	}
	n, length := batch.Sequences, b.task.length()
	tokens, targets, train := batch.Int32[textName], batch.Targets, b.task.text.Train
	first := i * n
	counted := min(n, len(b.starts)-first)
	for column := range n {
		// A filling window of the training part, of which those that count
		// take as many symbols as they lack themselves.
		filling := train[max(0, column-counted+1)*length:]
		var symbols []byte
		if column < counted {
			symbols, filling = b.symbols[b.starts[first+column]:], train
		}
		for step := range length {
			at := step*n + column
			if step+1 < len(symbols) {
				tokens[at], targets[at] = int32(symbols[step]), int32(symbols[step+1])
			} else {
				tokens[at], targets[at] = int32(filling[step]), -1
			}
		}
	}
	return nil
}
