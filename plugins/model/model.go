// Package model is the contract of model plugins: the recurrent networks that
// the harness trains, evaluates and exports for deployment.
package model

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/stepgraph"
)

// Model is a network with its parameters, gradients and optimiser. The slices
// it is given live in the shared arena.
//
// The life of a session is Plan, Build, then any number of Step, Update,
// Evaluate and Export. A Model serves one session at a time. Every sequence
// starts from the network's own start state, as in the exported graph: nothing
// is carried from one batch to the next.
type Model interface {
	Describe(ctx context.Context) (plugins.Description, error)

	// Plan lists the parameters and buffers of the network for a task. A
	// task the model cannot serve is a *plugins.Problem.
	Plan(ctx context.Context, options plugins.Values, task Task) (Plan, error)

	// Build hands over the tensors and writes the parameters' starting
	// values. A resumed run overwrites them from the checkpoint.
	Build(ctx context.Context, request Build) error

	// Step runs forward and backward on the batch in the input tensors and
	// overwrites every Grad. It computes with Quantized where a parameter has
	// one. Loss is the mean over all targets, in nats.
	Step(ctx context.Context, request Step) (StepResult, error)

	// Update applies the optimiser to every Value with the gradients as they
	// stand in Grad: those of the last Step, which the quantizer may have
	// changed since.
	Update(ctx context.Context, request Update) (UpdateResult, error)

	// Evaluate runs forward only on the batch in the input tensors.
	Evaluate(ctx context.Context, request Evaluate) (Evaluation, error)

	// Export describes one time step of the network with its normalisation
	// statistics frozen. Weights are named after their parameters, not
	// contained. The output is the logits, OutputSize of them a step: the
	// softmax is left to the reader, and no machine is charged for it.
	Export(ctx context.Context) (stepgraph.Graph, error)
}

// TaskKind says what is predicted from what.
type TaskKind string

// LanguageModel predicts the next symbol at every time step: tensors "inputs"
// and "targets", int32 [Length, Batch], ids below InputSize and OutputSize.
//
// SequenceClassification predicts one class after the last time step: tensor
// "inputs" float32 [Length, Batch, InputSize], "targets" int32 [Batch].
const (
	LanguageModel          TaskKind = "language-model"
	SequenceClassification TaskKind = "sequence-classification"
)

// Task is what a model must know of the task it is built for.
type Task struct {
	Kind       TaskKind
	InputSize  int // vocabulary size, or features per time step
	OutputSize int // classes of the softmax
	Batch      int // sequences per batch
	Length     int // time steps per sequence
}

// Parameter is one trained tensor. Quantize marks the matrices of recurrent
// layers, which go through the quantizer; Shape is then [outputs, inputs].
type Parameter struct {
	Name     string
	Shape    []int
	Quantize bool
}

// Buffer is a float32 tensor that is not trained but belongs to the
// checkpoint, such as normalisation statistics.
type Buffer struct {
	Name  string
	Shape []int
}

// Plan is everything a network keeps between steps.
type Plan struct {
	Parameters []Parameter
	Buffers    []Buffer
}

// Optimiser says how Update moves the parameters.
type Optimiser string

// Adam keeps two moments per parameter (Kingma & Ba, ICLR 2015, with bias
// correction); SGD keeps none.
const (
	Adam Optimiser = "adam"
	SGD  Optimiser = "sgd"
)

// Tensors are a parameter's tensors, all of the parameter's shape.
type Tensors struct {
	Value     []float32 // latent weights where Quantized is not nil
	Quantized []float32 // nil where the parameter is not quantized
	Grad      []float32
	Moment1   []float32 // nil for SGD
	Moment2   []float32 // nil for SGD
}

// Inputs are the batch tensors by name; see [TaskKind].
type Inputs struct {
	Int32   map[string][]int32
	Float32 map[string][]float32
}

// Build is the argument of [Model.Build].
type Build struct {
	Options    plugins.Values
	Task       Task
	Seed       uint64
	Threads    int // workers inside the model; results depend on nothing else of the machine
	Optimiser  Optimiser
	Parameters map[string]Tensors
	Buffers    map[string][]float32
	Inputs     Inputs
}

// Step is the argument of [Model.Step]. Number counts steps from 0 and keys
// dropout masks together with Build.Seed.
type Step struct {
	Number uint64
}

// StepResult is what [Model.Step] reports.
type StepResult struct {
	Loss float64 // mean over all targets, nats
}

// Update is the argument of [Model.Update]. Number counts from 1 since the
// optimiser's moments were last zero (Adam's t).
type Update struct {
	Number       uint64
	LearningRate float64
	ClipNorm     float64 // gradients are scaled to this norm where it is exceeded; 0 = off
}

// UpdateResult is what [Model.Update] reports.
type UpdateResult struct {
	// GradNorm is the Euclidean norm over all of Grad before clipping, the
	// one that is compared with ClipNorm.
	GradNorm float64
}

// Statistics says which normalisation statistics a forward pass uses.
type Statistics string

const (
	// Batch uses the statistics of all sequences of the batch (the paper's
	// code).
	Batch Statistics = "batch"
	// Calibrate uses batch statistics and folds them into the frozen ones, one
	// sequence like the other; with First set it starts them afresh.
	Calibrate Statistics = "calibrate"
	// Frozen uses the statistics kept in the buffers, as a deployed network does.
	Frozen Statistics = "frozen"
)

// Evaluate is the argument of [Model.Evaluate].
//
// All sequences in the input tensors are real data. Those beyond Valid fill a
// last, partial batch: they take part in the statistics of Batch and Calibrate
// like any other, so that few sequences are normalised as many are, but never
// in the Evaluation. A sequence's part in the Evaluation therefore depends on
// the others of its batch through the statistics only, and with Frozen not at
// all.
type Evaluate struct {
	Statistics Statistics
	First      bool // with Calibrate: forget what was gathered before
	Valid      int  // sequences at the front of the batch that are scored; 0 = all
}

// Evaluation sums over the targets of the first Valid sequences of a batch.
type Evaluation struct {
	LossSum float64 // nats
	Count   int     // targets
	Correct int     // targets that were the most probable class
}
