// Package task turns data into batches: what one training step sees, in which
// order, and how a result is scored.
//
// To add a kind of task, implement [Task] and give it an entry in the registry: its
// name, the shape of its data sets, its options, and the function that makes it. A
// suite can then name it.
package task

import (
	"fmt"
	"slices"

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

	// Steps are the time steps of each stream that a sequence of the test part
	// has, in the mean and rounded: what the cost of a sequence is told for.
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

// Batches is a finite list of batches. Where state is carried, each goes on from
// the one before it, and all sequences of the first start fresh.
type Batches interface {
	// Len counts the batches.
	Len() int

	// Fill writes batch i, from 0 to Len()−1, into the tensors of b, every element
	// of them. Sequences that only fill up the last batch of an evaluation have
	// no target; they are distinct ones of the training part, because batch
	// statistics are taken over them too (see [model.Evaluate]). Tensors that are
	// missing or of the wrong size are an error.
	Fill(i int, b network.Batch) error

	// Group names the part of the score that batch i adds to, such as one of
	// bAbI's twenty tasks. The score is the mean over groups of the metric of
	// each. It is empty where the score has no parts.
	Group(i int) string
}

// Ready returns an error where there is no batch i among n, or where b lacks a tensor
// of the shape or has one of another size: what a Fill looks at first. It does not
// allocate where there is no error.
func Ready(i, n int, s network.Shape, b network.Batch) error {
	if i < 0 || i >= n {
		return fmt.Errorf("there is no batch %d among %d", i, n)
	}
	if b.Sequences != s.Sequences {
		return fmt.Errorf("the batch has %d sequences; %d are needed", b.Sequences, s.Sequences)
	}
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
			return missized(in.Name, got, s)
		}
	}
	if got := len(b.Fresh); s.Carried && got != s.Sequences {
		return missized(network.TensorFresh, got, s)
	}
	want := s.Sequences
	if s.Targets != "" {
		want *= s.Steps[s.Targets]
	}
	if got := len(b.Targets); got != want {
		return missized(network.TensorTargets, got, s)
	}
	return nil
}

func missized(name string, got int, s network.Shape) error {
	all := s.Tensors()
	at := slices.IndexFunc(all, func(t network.Tensor) bool { return t.Name == name })
	return fmt.Errorf("the tensor %s has %d elements; %v are needed", name, got, all[at].Dims)
}
