package task

import (
	"context"
	"fmt"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/network"
)

// Words predicts the next word of a text, with the state carried through it (Mikolov
// et al., 2010; Zaremba, Sutskever and Vinyals, 2014).
//
// Every word is a target, and its input is the word before it; that of a part's first
// word is [dataset.EndOfSentence]. A part is cut into as many stretches of equal length
// as a batch has sequences. Batch i holds window i of each stretch, so each sequence
// goes on where it ended in the batch before. All start fresh in batch 0.
//
// In training a stretch has ⌊N/sequences⌋ of the N words and an epoch
// ⌊stretch/Length⌋ batches; what fills no window is dropped. Every epoch is the same.
//
// In evaluation a stretch has ⌈N/sequences⌉ words and every word is a target once. What
// the last windows lack is filled with the training part's words at the same place of
// its own stretch, which are no targets.
type Words struct {
	shape network.Shape
	words *dataset.Words
	first int32 // input of the first word of a part
}

// wordsName is the name of the input and of its stream.
const wordsName = "words"

var _ Task = (*Words)(nil)

// NewWords checks that there is a batch to train on and a word to validate and test
// on, and that every word is in the vocabulary.
func NewWords(words *dataset.Words, batch, length int) (*Words, error) {
	if batch < 1 || length < 1 {
		return nil, plugins.Problemf("a language model needs batches of at least 1 sequence of at least 1 word, not %d × %d", batch, length)
	}
	t := &Words{words: words, shape: nextToken(wordsName, len(words.Vocabulary), batch, length), first: -1}
	t.shape.Carried = true
	for id, word := range words.Vocabulary {
		if word == dataset.EndOfSentence {
			t.first = int32(id)
		}
	}
	if t.first < 0 {
		return nil, fmt.Errorf("data set %s: the vocabulary lacks %s", words.Name, dataset.EndOfSentence)
	}
	for _, part := range []Part{Train, Valid, Test} {
		if err := checkTokens(words.Name, "word", part, t.part(part), len(words.Vocabulary)); err != nil {
			return nil, err
		}
		if n := len(t.part(part)); part != Train && n == 0 {
			return nil, plugins.Problemf("data set %s: the %s part has no words; use more of the data", words.Name, part)
		}
	}
	if n := len(words.Train); n/batch < length {
		return nil, plugins.Problemf("data set %s: the train part of %d words gives no window of %d to each of %d sequences; use a smaller batch, a shorter length or more of the data",
			words.Name, n, length, batch)
	}
	return t, nil
}

// Shape implements [Task].
func (t *Words) Shape() network.Shape { return t.shape }

// Metric implements [Task].
func (t *Words) Metric() metric.Metric { return metric.Perplexity }

// Steps implements [Task].
func (t *Words) Steps() map[string]int { return t.shape.Steps }

// Training implements [Task].
func (t *Words) Training(uint64, int) Batches {
	stretch := t.trainingStretch()
	return &stretchBatches{task: t, words: t.words.Train, stretch: stretch, count: stretch / t.length()}
}

// Evaluation implements [Task].
func (t *Words) Evaluation(part Part) Batches {
	words := t.part(part)
	stretch := above(len(words), t.shape.Sequences)
	return &stretchBatches{task: t, words: words, stretch: stretch, count: above(stretch, t.length())}
}

// above is ⌈n/d⌉.
func above(n, d int) int { return (n + d - 1) / d }

func (t *Words) trainingStretch() int { return len(t.words.Train) / t.shape.Sequences }

func (t *Words) length() int { return t.shape.Steps[wordsName] }

func (t *Words) part(part Part) []int32 {
	switch part {
	case Train:
		return t.words.Train
	case Valid:
		return t.words.Valid
	case Test:
		return t.words.Test
	}
	panic("task: unknown part " + string(part))
}

// before is the input whose target is word number i.
func (t *Words) before(words []int32, i int) int32 {
	if i == 0 {
		return t.first
	}
	return words[i-1]
}

// stretchBatches shows the windows of a part's stretches.
type stretchBatches struct {
	task    *Words
	words   []int32
	stretch int // words of each
	count   int // batches
}

// Len implements [Batches].
func (b *stretchBatches) Len() int { return b.count }

// Group implements [Batches].
func (b *stretchBatches) Group(int) string { return "" }

// Fill implements [Batches].
func (b *stretchBatches) Fill(i int, batch network.Batch) error {
	if err := Ready(i, b.Len(), b.task.shape, batch); err != nil {
		return err
	}
	n, length := batch.Sequences, b.task.length()
	tokens, train, filling := batch.Int32[wordsName], b.task.words.Train, b.task.trainingStretch()
	for column := range n {
		batch.Fresh[column] = 0
		if i == 0 {
			batch.Fresh[column] = 1
		}
		end := min((column+1)*b.stretch, len(b.words))
		for step := range length {
			at, place := step*n+column, i*length+step
			if word := column*b.stretch + place; word < end {
				tokens[at], batch.Targets[at] = b.task.before(b.words, word), b.words[word]
			} else {
				tokens[at], batch.Targets[at] = b.task.before(train, column*filling+place%filling), -1
			}
		}
	}
	return nil
}

// words is the task over words.
func words() Definition {
	return Definition{
		Name: "words", Summary: "predict the next word of a text, the state carried on; perplexity", Unit: "words", Shape: dataset.ShapeWords, Data: "ptb-word",
		Options: append([]plugins.Option{
			whole(optionBatch, 20, 1, maxBatch, "stretches of the text that are read side by side"),
			whole(optionLength, 35, 1, maxLength, "words in a window"),
			whole("vocabulary", 0, 0, maxLength, "of a text of your own, keep the most frequent words, with <eos> and <unk>, at least 3; 0 is all"),
		}, ownText("words")...),
		Files: []string{"text"},
		Check: func(data string, o plugins.Values) error {
			if data != "" && o.Int("vocabulary") != 0 {
				return plugins.Problemf("vocabulary is for a text of your own; take it out, for a data set has its own")
			}
			return checkOwnText(data, o)
		},
		Load: func(ctx context.Context, l *Loader, data string, o plugins.Values) (Task, Data, error) {
			loaded, err := l.words(ctx, data, o)
			if err != nil {
				return nil, Data{}, err
			}
			t, err := NewWords(loaded, o.Int(optionBatch), o.Int(optionLength))
			return t, Data{
				Name: loaded.Name, SHA256: loaded.SHA256, Split: loaded.Split, Note: loaded.Note,
				Summary: fmt.Sprintf("%d + %d + %d words, %d different", len(loaded.Train), len(loaded.Valid), len(loaded.Test), len(loaded.Vocabulary)),
			}, err
		},
	}
}

func (l *Loader) words(ctx context.Context, data string, o plugins.Values) (*dataset.Words, error) {
	return remember(&l.wordTexts, []string{data, o.Text("text"), o.Text("split"), o.Text("vocabulary")}, func() (*dataset.Words, error) {
		if data != "" {
			return dataset.LoadWords(ctx, data, l.DataDir)
		}
		split, err := fractions(o.Text("split"))
		if err != nil {
			return nil, err
		}
		return dataset.LoadWordText(o.Text("text"), split, o.Int("vocabulary"))
	})
}
