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

// DelayedCopy generates a memory task: the input of every step is one of the symbols
// 0 … [CopyAlphabet] − 1, each equally likely, and its target is the input of Delay steps
// before, or −1, which is none, in the first Delay steps. A network without memory can
// do no better than to guess: accuracy 1/8, and a loss of log 8 nats.
type DelayedCopy struct {
	Length int // steps of an example, more than Delay
	Delay  int // at least 1
	Seed   uint64
}

// DelayedCopyClasses counts its symbols.
const DelayedCopyClasses = CopyAlphabet

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
		inputs[step] = int32(random.IntN(CopyAlphabet))
	}
	for step := range c.Delay {
		targets[step] = -1
	}
	copy(targets[c.Delay:], inputs)
}

// copySet lists a copying task beside the data sets.
type copySet struct {
	name, summary string
	classes       int
}

var copySets = []copySet{
	{"copy", "copying memory task: read symbols, wait, write them", CopyClasses},
	{"delayed-copy", "copying memory task: repeat every symbol some steps later", DelayedCopyClasses},
}

func (c copySet) describe() Set {
	return Set{
		Name: c.name, Shape: ShapeSequence, Status: Generated, Summary: c.summary,
		Vocabulary: c.classes, Split: "drawn independently", Licence: ownLicence,
		Note: "synthetic",
	}
}

func (copySet) locate(context.Context, string) ([]string, error) { return nil, nil }
