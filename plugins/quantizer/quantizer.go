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
// The life of a session is Plan, Open, then any number of Quantize, Backward,
// Project and Freeze. A Quantizer serves one session at a time.
type Quantizer interface {
	Describe(ctx context.Context) (plugins.Description, error)

	// Plan lists the state tensors (learned scales, thresholds, …) that the
	// quantizer wants for the given weights, named uniquely per weight. The
	// harness allocates them in the arena and checkpoints them.
	Plan(ctx context.Context, options plugins.Values, weights []Shape) ([]State, error)

	// Open hands over the tensors. State is zero at the start of training; a
	// resumed run fills it from the checkpoint right after Open. The
	// quantizer must not treat Open as a place to keep anything else.
	Open(ctx context.Context, options plugins.Values, weights []Weight) error

	// Quantize writes Quantized from Latent for every weight. Equal draws
	// give equal bytes, whatever was called before.
	Quantize(ctx context.Context, draw Draw) error

	// Backward turns the gradient with respect to the quantized weights (in
	// Grad) into the one with respect to the latent weights, in place. It is
	// called only where the Description has TraitBackward.
	Backward(ctx context.Context, draw Draw) error

	// Project is called after each update, e.g. to clip Latent to [−α, α].
	// It is called only where the Description has TraitProject.
	Project(ctx context.Context) error

	// Freeze draws the weights once, for deployment.
	Freeze(ctx context.Context, draw Draw) ([]Frozen, error)
}

// The Traits of a Description by which a quantizer asks for its optional calls.
const (
	TraitBackward = "backward"
	TraitProject  = "project"
)

// Draw keys the randomness of one call: a quantizer's random numbers are a
// function of Seed, Step, the weight's name and the element's index alone, so
// any step can be replayed.
type Draw struct {
	Seed uint64
	Step uint64
}

// Shape names a weight matrix of Rows outputs by Cols inputs (row-major).
// Rows counts all gates: 4·units for an LSTM.
type Shape struct {
	Name string
	Rows int
	Cols int
}

// State is a float32 tensor of Len elements kept for the weight named Weight.
type State struct {
	Name   string
	Weight string
	Len    int
}

// Weight is one weight matrix with its tensors, each Rows·Cols long but State.
type Weight struct {
	Shape
	Latent    []float32 // full precision, trained
	Quantized []float32 // what the model computes with
	Grad      []float32 // loss gradient with respect to Quantized
	// Moment2 is Adam's second moment estimate of Grad, for loss-aware
	// quantizers; nil where the optimiser keeps none.
	Moment2 []float32
	State   map[string][]float32
}
