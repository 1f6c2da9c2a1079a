// Package quantizer is the contract of quantizer plugins: how latent weights
// become quantized weights at every training step, and codes at deployment.
package quantizer

import (
	"context"

	"bittern/plugins"
)

// Quantizer turns latent weights into quantized ones. The slices it is given
// live in the shared arena: what it writes there the model reads.
//
// A session is Plan, then Open, then Initialise if training starts anew, and then any
// number of Quantize, Backward, Project and Freeze. A Quantizer serves one session at a
// time.
//
// # State
//
// A quantizer keeps what it learns in the states that it plans, and nowhere else: the
// harness saves them, and training goes on from a checkpoint in a new session. A
// trained state (learned scales, step sizes, …) is a parameter like those of the
// network: Backward writes its gradient, and the model's optimiser moves it in the same
// Update, with the same learning rate, moments and clipping. Any other state is the
// quantizer's own to change.
type Quantizer interface {
	Describe(ctx context.Context) (plugins.Description, error)

	// Plan lists the states that the quantizer wants for the given weights, named
	// uniquely per weight. The harness allocates them in the arena and checkpoints them.
	Plan(ctx context.Context, options plugins.Values, weights []Shape) ([]State, error)

	// Open hands over the tensors. States are zero at the start of training; a run that
	// is resumed fills them from the checkpoint right after Open.
	Open(ctx context.Context, options plugins.Values, weights []Weight) error

	// Initialise writes the starting values of states, from the latent weights that the
	// model starts with. It is called once, before the first training step, and not when
	// training goes on from a checkpoint. It is called only if the Description has
	// TraitInitialise; without it states start as zero.
	Initialise(ctx context.Context) error

	// Quantize writes Quantized from Latent for every weight. Equal draws give equal
	// bytes, whatever was called before.
	Quantize(ctx context.Context, draw Draw) error

	// Backward turns the gradient with respect to the quantized weights (in
	// Grad) into the one with respect to the latent weights, in place, and overwrites
	// the Grad of every trained state with the gradient with respect to its Value. It
	// is called after the Quantize of the same draw, and only if the Description has
	// TraitBackward, which a quantizer with a trained state must have. Without the trait
	// the gradient passes straight through.
	Backward(ctx context.Context, request Backward) error

	// Project is called after each update, for example to clip Latent to [−α, α]. It is
	// called only if the Description has TraitProject.
	Project(ctx context.Context) error

	// Freeze returns the weights of a draw as they are deployed. Decoded they are what
	// Quantize writes for the same draw.
	Freeze(ctx context.Context, draw Draw) ([]Frozen, error)
}

// The Traits of a Description by which a quantizer asks for its optional calls.
const (
	TraitBackward   = "backward"
	TraitProject    = "project"
	TraitInitialise = "initialise"
)

// TraitSecondMoments is the Trait of a quantizer that reads Weight.Moment2. The harness
// refuses to train it with an optimiser that keeps none, and saves the second moments
// with the best parameters, so that Freeze sees those of the same step.
const TraitSecondMoments = "second-moments"

// Draw determines the random numbers of one call: a quantizer computes them from Seed,
// Step, the weight's name and the element's index alone, so that any step can be repeated.
type Draw struct {
	Seed uint64
	Step uint64
}

// Backward is the argument of [Quantizer.Backward].
type Backward struct {
	Draw
	LearningRate float64 // of the update that follows
	Update       uint64  // that update's number, from 1 since the optimiser's moments were last zero
}

// Shape names a weight matrix of Rows outputs by Cols inputs (row-major).
// Rows counts all gates: 4·units for an LSTM.
type Shape struct {
	Name string
	Rows int
	Cols int
}

// State is a float32 tensor kept for the weight named Weight.
type State struct {
	Name   string
	Weight string
	Shape  []int
	// Trained says that it has a gradient, which Backward fills, and that the model's
	// optimiser moves it.
	Trained bool
}

// StateTensors are a state's tensors, row-major in the state's shape.
type StateTensors struct {
	Value []float32
	Grad  []float32 // nil unless the state is trained
}

// Weight is one weight matrix with its tensors. Each has Rows·Cols elements, but for those
// of State.
type Weight struct {
	Shape
	Latent    []float32 // full precision, trained
	Quantized []float32 // what the model computes with
	Grad      []float32 // loss gradient with respect to Quantized
	// Moment2 is Adam's estimate of the second moment of Grad, for loss-aware quantizers.
	// It is nil if the optimiser keeps none.
	Moment2 []float32
	State   map[string]StateTensors
}
