package dataset

import (
	"context"
	"math/rand/v2"

	"bittern/plugins"
)

// Copy generates the copying memory task of Hochreiter and Schmidhuber (1997) in
// the form of Arjovsky, Shah and Bengio (2016): a network reads Symbols symbols,
// waits, and must then write them in their order. It tells in seconds a recurrent
// layer that remembers from one that does not.
//
// An example has Symbols + Delay + Symbols steps. The inputs are the symbols, each
// one of 1 … [CopyAlphabet] and equally likely; Delay − 1 blanks; the mark that asks
// for the answer; and blanks. The targets are blanks until the mark has been read, and
// then the symbols. A network without memory can do no better on the last
// Symbols steps than to guess: accuracy 1/8, and a loss of log 8 nats.
type Copy struct {
	Symbols int // at least 1
	Delay   int // at least 1
	Seed    uint64
}

// The ids of the copying task: the blank, the symbols 1 … CopyAlphabet, and the
// mark.
const (
	CopyBlank    = 0
	CopyAlphabet = 8
	CopyMark     = CopyAlphabet + 1
	CopyClasses  = CopyMark + 1
)

// maxCopySteps bounds the length of an example.
const maxCopySteps = 1 << 20

// Check refuses settings that make no task.
func (c Copy) Check() error {
	if c.Symbols < 1 || c.Delay < 1 || c.Symbols > maxCopySteps || c.Delay > maxCopySteps || c.Steps() > maxCopySteps {
		return plugins.Problemf("the copying task cannot have %d symbols and a delay of %d; let each be at least 1 and 2 x symbols + delay at most %d",
			c.Symbols, c.Delay, maxCopySteps)
	}
	return nil
}

// Steps is the length of an example.
func (c Copy) Steps() int { return 2*c.Symbols + c.Delay }

// Example writes the inputs and targets of example i, which depend on c and i
// alone. Both slices have length Steps. The targets of the last Symbols steps are
// the ones to be graded.
func (c Copy) Example(i uint64, inputs, targets []int32) {
	random := rand.New(rand.NewPCG(c.Seed, i))
	clear(inputs)
	clear(targets)
	answer := targets[c.Symbols+c.Delay:]
	for j := range c.Symbols {
		symbol := int32(1 + random.IntN(CopyAlphabet))
		inputs[j], answer[j] = symbol, symbol
	}
	inputs[c.Symbols+c.Delay-1] = CopyMark
}

// copySet lists the task beside the data sets.
type copySet struct{}

func (copySet) describe() Set {
	return Set{
		Name: "copy", Shape: ShapeSequence, Status: Generated,
		Summary:    "copying memory task: read symbols, wait, write them",
		Vocabulary: CopyClasses, Split: "drawn independently", Licence: ownLicence,
		Note: "synthetic",
	}
}

func (copySet) locate(context.Context, string) ([]string, error) { return nil, nil }
