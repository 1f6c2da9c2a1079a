package quantizer

import (
	"context"
	"fmt"

	"bittern/plugins"
)

// Base is what most quantizers have in common. Embed it, and write Describe, Quantize and
// Freeze: Base plans no state, keeps what Open hands over, and answers the optional calls
// with an error. Bittern makes an optional call only if the Description has its trait; then
// write the method too.
type Base struct {
	Options plugins.Values // every option of the Description, as Open got them
	Weights []Weight       // of the session
}

// Plan implements [Quantizer]: there is no state.
func (*Base) Plan(context.Context, plugins.Values, []Shape) ([]State, error) { return nil, nil }

// Open implements [Quantizer]: it keeps the options and the weights.
func (b *Base) Open(_ context.Context, options plugins.Values, weights []Weight) error {
	b.Options, b.Weights = options, weights
	return nil
}

// Initialise implements [Quantizer] for one without [TraitInitialise].
func (*Base) Initialise(context.Context) error { return missing("Initialise", TraitInitialise) }

// Backward implements [Quantizer] for one without [TraitBackward]: its gradient passes
// straight through.
func (*Base) Backward(context.Context, Backward) error { return missing("Backward", TraitBackward) }

// Project implements [Quantizer] for one without [TraitProject].
func (*Base) Project(context.Context) error { return missing("Project", TraitProject) }

func missing(call, trait string) error {
	return fmt.Errorf("the quantizer has no %s of its own: write the method, or take the trait %q out of the Description", call, trait)
}
