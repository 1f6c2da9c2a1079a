// Package model is the contract of model plugins: the recurrent networks that
// the harness trains, evaluates and exports for deployment.
package model

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/network"
)

// Model is a network with its parameters, gradients and optimiser. The slices
// it is given live in the shared arena.
//
// A session is Plan, then Build, and then any number of Step, Update, Evaluate and Export.
// A Model serves one session at a time.
//
// # Carried state
//
// If the shape says that state is carried, Fresh of each batch says for each sequence
// whether it starts from the network's initial state or goes on from the state in which
// the sequence at the same place of the previous batch ended. Training and evaluation
// carry separate states: Step goes on from the previous Step, and Evaluate from the
// previous Evaluate. Gradients do not cross batches (truncated back-propagation through
// time). What Step carries lies in buffers of the plan, so that a resumed run goes on with
// it.
type Model interface {
	Describe(ctx context.Context) (plugins.Description, error)

	// Plan lists the parameters and buffers of the network for batches of a
	// shape. A shape that the model cannot serve is a *plugins.Problem that says
	// which it serves.
	Plan(ctx context.Context, options plugins.Values, shape network.Shape) (Plan, error)

	// Build hands over the tensors and writes the starting values of the plan's
	// parameters. A resumed run overwrites them from the checkpoint.
	Build(ctx context.Context, request Build) error

	// Step runs forward and backward on the batch and overwrites the Grad of every
	// parameter of the plan, and of no other. It computes with the Quantized of parameters
	// that have one. Loss is the mean over all targets that are not −1, in nats.
	Step(ctx context.Context, request Step) (StepResult, error)

	// Update applies the optimiser to the Value of every one of Build.Parameters, with the
	// gradients in Grad: those of the last Step, which the quantizer may have changed
	// since, and of parameters beyond the plan those that the quantizer wrote.
	Update(ctx context.Context, request Update) (UpdateResult, error)

	// Evaluate runs forward on the batch, not backward, and scores its targets. It computes
	// with the Quantized of parameters that have one.
	Evaluate(ctx context.Context, request Evaluate) (network.Score, error)

	// Export describes the network with its normalisation statistics frozen, for the shape
	// that it was built for. It names weights by their parameters and does not contain
	// them.
	Export(ctx context.Context) (network.Network, error)
}

// Parameter is one trained tensor. Quantize marks the matrices of recurrent layers, which
// the quantizer gets; their Shape is [outputs, inputs].
type Parameter struct {
	Name     string
	Shape    []int
	Quantize bool
}

// Buffer is a float32 tensor that is not trained but saved with checkpoints: a normalisation
// statistic or carried state.
type Buffer struct {
	Name      string
	Shape     []int
	Statistic bool // of normalisation: Calibrate writes it and Frozen reads it
}

// Plan is everything a network keeps between steps.
type Plan struct {
	Parameters []Parameter
	Buffers    []Buffer
	// Settings say in the field's words what distinguishes this network from others that
	// the model makes. Tables show them, and published results are found by them.
	Settings []Setting
}

// Setting is one property of a network.
type Setting struct{ Name, Value string }

// The names of the settings that published results are found by. A model has those that
// apply to it, and may have others.
const (
	SettingCell   = "cell"   // "LSTM", "GRU"
	SettingUnits  = "units"  // hidden units of a recurrent layer
	SettingLayers = "layers" // recurrent layers, one above the other
	// SettingNormalization is "none", "batch", "batch-cell", "batch-shared", "layer" or
	// "weight". "batch" is deployed with statistics of each time step, "batch-shared" with
	// one set for all time steps.
	SettingNormalization = "normalization"
	// SettingBidirectional is "true" where layers read a sequence both ways.
	SettingBidirectional = "bidirectional"
	// SettingHiddenBits is the number of bits that hidden states are rounded to. A network
	// that does not round them does not have it.
	SettingHiddenBits = "hidden bits"
)

// Optimiser says how Update moves the parameters.
type Optimiser string

// Adam keeps two moments per parameter (Kingma & Ba, ICLR 2015, with bias
// correction); SGD keeps none.
const (
	Adam Optimiser = "adam"
	SGD  Optimiser = "sgd"
)

// Arithmetic says what the matrix products of a Step or an Evaluate compute with.
type Arithmetic string

// Float32 rounds no operand. BFloat16 rounds the operands of the products, forward and backward,
// to bfloat16, and sums in float32; latent weights, statistics, gates, losses and the optimiser stay
// float32. Weights of which all in a row are −α, 0 or α lose nothing.
const (
	Float32  Arithmetic = "float32"
	BFloat16 Arithmetic = "bfloat16"
)

// IsZero says whether it is Float32, which the identity of an experiment does not name.
func (a Arithmetic) IsZero() bool { return a == "" || a == Float32 }

// TraitBFloat16 is the Trait of a model that can train with [BFloat16].
const TraitBFloat16 = "bfloat16"

// Tensors are a parameter's tensors, all of the parameter's shape.
type Tensors struct {
	Value     []float32 // the latent weights, if the parameter is quantized
	Quantized []float32 // nil if the parameter is not quantized
	Grad      []float32
	Moment1   []float32 // nil for SGD
	Moment2   []float32 // nil for SGD
}

// Build is the argument of [Model.Build].
type Build struct {
	Options   plugins.Values
	Shape     network.Shape
	Seed      uint64
	Threads   int // workers inside the model; results depend on nothing else of the machine
	Optimiser Optimiser
	// Arithmetic is that of every Step. It is BFloat16 only for a model with [TraitBFloat16].
	Arithmetic Arithmetic
	// Parameters are those of the plan, by name, and maybe others beyond it: the trained
	// states of the quantizer. Those have a Value, a Grad and moments, and take no part in
	// the network. Update moves every parameter, and GradNorm and clipping count them all.
	Parameters map[string]Tensors
	Buffers    map[string][]float32
	// Batch holds the tensors that every batch is written to before a Step or an
	// Evaluate; see [network.Shape.Tensors].
	Batch network.Batch
}

// Step is the argument of [Model.Step]. Number counts steps from 0; it determines dropout
// masks together with Build.Seed.
type Step struct {
	Number uint64
}

// StepResult is what [Model.Step] reports.
type StepResult struct {
	Loss float64 // mean over the targets, nats
}

// Update is the argument of [Model.Update]. Number counts from 1 since the
// optimiser's moments were last zero (Adam's t).
type Update struct {
	Number       uint64
	LearningRate float64
	ClipNorm     float64 // a larger norm of the gradients is scaled to this one; 0 = off
}

// UpdateResult is what [Model.Update] reports.
type UpdateResult struct {
	// GradNorm is the Euclidean norm over all of Grad before clipping, which is compared
	// with ClipNorm.
	GradNorm float64
}

// Statistics says which normalisation statistics a forward pass uses. With a plan of which no
// buffer is a Statistic, Batch and Frozen give the same score, and Calibrate is not called for.
type Statistics string

const (
	// Batch uses the statistics of all sequences of the batch, as the paper's code does.
	Batch Statistics = "batch"
	// Calibrate uses batch statistics and averages them into the frozen ones, each sequence
	// with the same weight. With First set it forgets the frozen ones before.
	Calibrate Statistics = "calibrate"
	// Frozen uses the statistics kept in the buffers, as a deployed network does.
	Frozen Statistics = "frozen"
)

// Evaluate is the argument of [Model.Evaluate].
//
// All sequences of a batch are real data. Those without a target fill up the last batch,
// which would be too small without them. Batch and Calibrate take statistics over them too,
// so that the last batch is normalised over as many sequences as the others. What a sequence
// adds to the score depends on the others of its batch through these statistics alone, and
// with Frozen not at all.
type Evaluate struct {
	Statistics Statistics
	First      bool // with Calibrate: forget what was gathered before
	// Arithmetic is Float32 or that of Build: results are of float32, and what only selects
	// among the networks of a training may be computed as the training is.
	Arithmetic Arithmetic
}
