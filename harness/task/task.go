// Package task turns data into batches: what one training step sees, in which
// order, and how a result is scored.
//
// # Adding a task
//
// A task is a [Task] with its [Batches], and a [Definition] that lists its options for suites.
// It lives in a package of its own, whose init function calls [Register], and needs nothing
// from inside this package; this package's example is a complete one. A program that knows
// the task is main.go with one more import:
//
//	import _ "example.com/parity"
//
// A task can have any shape that package network can describe: several streams, each of tokens
// or features, with or without lengths; candidates; a target at each step or one a sequence;
// state that is carried on. [network.Shape] says how the tensors of a batch are laid out, and
// what they hold where there is no target. Models, backends and tables need no change: a model
// is told the shape, and refuses a shape that it cannot serve.
//
// A task must keep four rules. What a batch holds depends only on seed, epoch and number, so
// that an experiment that was stopped goes on to the same bytes. Evaluation shows every target
// once. Sequences that only fill up a batch have the target −1. And Data identifies the data:
// results are stored under its SHA256 and the options.
package task

import (
	"fmt"

	"bittern/harness/metric"
	"bittern/plugins/network"
)

// Task is a source of batches and the measure of success. Implementations are
// safe for concurrent use.
type Task interface {
	// Shape is what a model must know to be built for the task.
	Shape() network.Shape

	// Metric is how the task is scored.
	Metric() metric.Metric

	// Training returns the batches of one epoch, counted from 0. What batch i
	// holds depends on seed, epoch and i alone, so that a resumed run sees what
	// the undisturbed one would have. Every epoch has the same Len.
	Training(seed uint64, epoch int) Batches

	// Evaluation returns the batches of a part, always in the same order. Every
	// target of the part is in one of them, once.
	Evaluation(part Part) Batches

	// Steps returns how many time steps of each stream a sequence of the test part has,
	// as a rounded mean. Backends report the cost of a sequence of this length.
	Steps() map[string]int
}

// Part names one of the parts data is split into.
type Part string

// The parts of a data set.
const (
	Train Part = "train"
	Valid Part = "valid"
	Test  Part = "test"
)

// Batches is a finite list of batches. If state is carried, each batch goes on from the one
// before it, and all sequences of the first batch start fresh.
type Batches interface {
	// Len counts the batches.
	Len() int

	// Fill writes batch i, from 0 to Len()−1, into the tensors of b, every element
	// of them. Sequences that only fill up the last batch of an evaluation have
	// no target; they are distinct ones of the training part, because batch
	// statistics are taken over them too (see [model.Evaluate]). Tensors that are
	// missing or of the wrong size are an error.
	Fill(i int, b network.Batch) error

	// Group names the part of the score that batch i counts in, such as one of bAbI's
	// twenty tasks. The score is the mean of the groups' metrics. The name is empty if
	// the score has no parts.
	Group(i int) string
}

// Ready returns an error if there is no batch i among n, or if a tensor of b is missing or has
// another size than the shape says. Fill calls it first. Unlike [network.Batch.Fits] it does
// not allocate if all is well.
func Ready(i, n int, s network.Shape, b network.Batch) error {
	if i < 0 || i >= n {
		return fmt.Errorf("there is no batch %d among %d", i, n)
	}
	if sized(s, b) {
		return nil
	}
	return b.Fits(s)
}

// sized says whether the tensors of b have the sizes of the shape.
func sized(s network.Shape, b network.Batch) bool {
	for _, in := range s.Inputs {
		got, want := len(b.Int32[in.Name]), s.Sequences
		switch in.Role {
		case network.Tokens:
			want *= s.Steps[in.Stream]
		case network.Features:
			got, want = len(b.Float32[in.Name]), want*s.Steps[in.Stream]*in.Size
		case network.Candidates:
			want *= in.Size
		}
		if got != want {
			return false
		}
	}
	return b.Sequences == s.Sequences && len(b.Targets) == s.TargetCount() && (!s.Carried || len(b.Fresh) == s.Sequences)
}
