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
// The life of a session is Plan, Build, then any number of Step, Update,
// Evaluate and Export. A Model serves one session at a time.
//
// # Carried state
//
// Where the shape says that state is carried, the batch's Fresh says of each
// sequence whether it starts from the network's own start state or goes on where
// the same place of the batch before ended. Training and evaluation each carry a
// state of their own: Step goes on from the Step before it, Evaluate from the
// Evaluate before it, and neither sees the other's. Gradients end where a batch
// begins (truncated back-propagation through time). What Step carries lies in
// buffers of the plan, so that a resumed run goes on with it.
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
	// parameter of the plan, and of no other. It computes with Quantized where a
	// parameter has one. Loss is the mean over all targets that are not −1, in nats.
	Step(ctx context.Context, request Step) (StepResult, error)

	// Update applies the optimiser to every Value of Build.Parameters with the
	// gradients as they stand in Grad: those of the last Step, which the quantizer may
	// have changed since, and those that it wrote of parameters beyond the plan.
	Update(ctx context.Context, request Update) (UpdateResult, error)

	// Evaluate runs forward only on the batch and scores its targets. It computes with
	// Quantized where a parameter has one.
	Evaluate(ctx context.Context, request Evaluate) (network.Score, error)

	// Export describes the network with its normalisation statistics frozen. It
	// serves the shape that the network was built for. Weights are named after
	// their parameters, not contained.
	Export(ctx context.Context) (network.Network, error)
}

// Parameter is one trained tensor. Quantize marks the matrices of recurrent
// layers, which go through the quantizer; Shape is then [outputs, inputs].
type Parameter struct {
	Name     string
	Shape    []int
	Quantize bool
}

// Buffer is a float32 tensor that is not trained but belongs to the
// checkpoint, such as normalisation statistics and carried state.
type Buffer struct {
	Name  string
	Shape []int
}

// Plan is everything a network keeps between steps.
type Plan struct {
	Parameters []Parameter
	Buffers    []Buffer
	// Settings say in the field's words what distinguishes this network among
	// those that the model makes: what tables show of it, and what published
	// results are found by.
	Settings []Setting
}

// Setting is one property of a network.
type Setting struct{ Name, Value string }

// The names of settings that published results are found by, where a model has
// them. It may have others.
const (
	SettingCell   = "cell"   // "LSTM", "GRU"
	SettingUnits  = "units"  // hidden units of a recurrent layer
	SettingLayers = "layers" // recurrent layers, one above the other
	// SettingNormalization is "none", "batch", "batch-cell", "batch-shared", "layer" or
	// "weight". "batch" has statistics of each time step; what is deployed with one
	// set for all of them is "batch-shared".
	SettingNormalization = "normalization"
	// SettingBidirectional is "true" where layers read a sequence both ways.
	SettingBidirectional = "bidirectional"
	// SettingHiddenBits is to how many bits hidden states are rounded; a network that
	// does not round them does not have it.
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

// Tensors are a parameter's tensors, all of the parameter's shape.
type Tensors struct {
	Value     []float32 // latent weights where Quantized is not nil
	Quantized []float32 // nil where the parameter is not quantized
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
	// Parameters are those of the plan, by name, and maybe others beyond it: the states
	// that the quantizer learns, which have a Value, a Grad and moments of one length
	// and take no part in the network. Update moves every one of them, and GradNorm and
	// clipping count them all.
	Parameters map[string]Tensors
	Buffers    map[string][]float32
	// Batch holds the tensors that every batch is written to before a Step or an
	// Evaluate; see [network.Shape.Tensors].
	Batch network.Batch
}

// Step is the argument of [Model.Step]. Number counts steps from 0 and keys
// dropout masks together with Build.Seed.
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
// All sequences of a batch are real data. Those without a target fill a last,
// partial batch: they take part in the statistics of Batch and Calibrate like any
// other, so that few sequences are normalised as many are. What a sequence adds to
// the score therefore depends on the others of its batch through the statistics
// only, and with Frozen not at all.
type Evaluate struct {
	Statistics Statistics
	First      bool // with Calibrate: forget what was gathered before
}
