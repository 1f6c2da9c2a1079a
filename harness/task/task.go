// Package task turns data into batches: what one training step sees, in which
// order, and how a result is scored.
//
// To add a kind of task, implement [Task] and give it an entry in the registry: its
// name, the shape of its data sets, its options, and the function that makes it. A
// suite can then name it.
//
// This package alone of the harness knows what a model.TaskKind means: the rest
// allocates what [Tensors] lists, and scores what [Sequences] says.
package task

import (
	"bittern/harness/metric"
	"bittern/plugins/model"
)

// Task is a source of batches and the measure of success. Implementations are
// safe for concurrent use.
type Task interface {
	// Shape is what a model must know to be built for the task.
	Shape() model.Task

	// Metric is how the task is scored.
	Metric() metric.Metric

	// Training returns the batches of one epoch, counted from 0. What batch i
	// holds depends on seed, epoch and i alone, so that a resumed run sees what
	// the undisturbed one would have. Every epoch has the same Len.
	Training(seed uint64, epoch int) Batches

	// Evaluation returns the batches of a part in their natural order.
	Evaluation(part Part) Batches

	// Sequences returns the first limit sequences of a part for execution on a
	// backend; a limit of 0 is all of them.
	Sequences(part Part, limit int) Sequences
}

// Part names one of the parts data is split into.
type Part string

// The parts of a data set.
const (
	Train Part = "train"
	Valid Part = "valid"
	Test  Part = "test"
)

// Batches is a finite list of batches.
type Batches interface {
	// Len counts the batches.
	Len() int

	// Fill writes batch i, from 0 to Len()−1, into the input tensors and
	// returns how many of its sequences count. The sequences after those are
	// distinct ones of the training part: they are not scored, but batch
	// statistics are taken over them too (see [model.Evaluate]).
	// Tensors that are missing or of the wrong size are an error.
	Fill(i int, inputs model.Inputs) (valid int, err error)
}
