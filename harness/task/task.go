// Package task turns data into batches: what one training step sees, in which
// order, and how a result is scored.
//
// To add a kind of task, implement [Task], give its [Metric] a case in Score and
// Better, and let package experiment choose it where an experiment makes its task (Spec.task).
// What models see of it is a model.TaskKind and the input tensors that belong to it.
package task

import (
	"math"

	"bittern/plugins/model"
)

// Task is a source of batches and the measure of success. Implementations are
// safe for concurrent use.
type Task interface {
	// Shape is what a model must know to be built for the task.
	Shape() model.Task

	// Metric is how the task is scored.
	Metric() Metric

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

// Sequences are whole sequences one after another, each Length steps. They may
// share memory with the task: read only.
type Sequences struct {
	Count, Length int
	Tokens        []int32   // Count·Length, for a task over tokens
	Dense         []float32 // Count·Length·InputSize, for a task over features
	Targets       []int32   // Count·Length, or Count for one target per sequence
}

// Metric is a figure of merit computed from sums over targets.
type Metric string

// The metrics of the tasks.
const (
	// BPC is bits per character: the mean loss in nats over ln 2. Lower is better.
	BPC Metric = "BPC"
)

// Score computes the metric from the sums of a [model.Evaluation].
// It is NaN when nothing was counted.
func (m Metric) Score(e model.Evaluation) float64 {
	switch m {
	case BPC:
		return e.LossSum / float64(e.Count) / math.Ln2
	}
	panic("task: unknown metric " + string(m))
}

// Better says whether score a beats score b.
func (m Metric) Better(a, b float64) bool {
	switch m {
	case BPC:
		return a < b
	}
	panic("task: unknown metric " + string(m))
}
