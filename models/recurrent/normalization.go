package recurrent

import (
	"fmt"
	"slices"
)

// Epsilon is added to every variance before its root is taken, as in
// Cooijmans et al., "Recurrent Batch Normalization" (ICLR 2017), section 5.
const Epsilon = 1e-5

// Normalization says how a layer normalises its two products, Wh·h and Wx·x,
// before it adds them. Except for BatchNorm with the cell state, these are the
// normalizations of Hou et al., "Normalization Helps Training of Quantized LSTM" (NeurIPS 2019),
// as their published code (model_lm.py) computes them, with the parameters
// that the sizes on their poster count.
type Normalization int

const (
	// NoNorm leaves the products as they are.
	NoNorm Normalization = iota

	// BatchNorm takes mean and variance of every feature over the sequences of
	// a batch, for every time step anew.
	//
	// With [Config.NormalizeCell] it is that of Ardakani et al., "Learning
	// Recurrent Binary/Ternary Weights" (ICLR 2019): it normalises the LSTM's
	// cell state too, and the products share the one bias of their sum.
	// Without, each product has a bias of its own (Hou et al.).
	BatchNorm

	// SharedBatchNorm is BatchNorm with one set of running statistics for all
	// time steps, over batch × time. A pass that uses the batch's own statistics
	// still computes them for every time step, as Hou et al. do, because those of
	// Wh·h over all steps are not known before the last step is computed.
	SharedBatchNorm

	// LayerNorm takes mean and variance of every sequence and time step over
	// the features of a gate, for each product (Ba et al., arXiv 1607.06450;
	// Hou et al. take the gates one by one). The cell state is not normalised.
	LayerNorm

	// WeightNorm divides every row of Wx and Wh by its norm and multiplies it
	// by a gain: W = g·Ŵ/‖Ŵ‖ (Salimans and Kingma, arXiv 1602.07868). Ŵ is the
	// matrix that the layer is given; if that is quantized, the norm is that of the
	// quantized weights, as in Hou et al. A row of zeros stays 0 and has no gradient.
	WeightNorm
)

// Normalizations are all of them.
var Normalizations = []Normalization{NoNorm, BatchNorm, SharedBatchNorm, LayerNorm, WeightNorm}

var normalizationNames = [...]string{"none", "batch", "batch-shared", "layer", "weight"}

// String returns the name a suite uses.
func (n Normalization) String() string {
	if n < 0 || int(n) >= len(normalizationNames) {
		return fmt.Sprintf("normalization %d", int(n))
	}
	return normalizationNames[n]
}

// ParseNormalization returns the normalization of a name.
func ParseNormalization(name string) (Normalization, error) {
	if i := slices.Index(normalizationNames[:], name); i >= 0 {
		return Normalization(i), nil
	}
	return 0, fmt.Errorf("there is no normalization %q; choose one of %v", name, normalizationNames)
}

// Batch says whether statistics are taken over a batch, so that frozen ones replace them in
// a deployed network.
func (n Normalization) Batch() bool { return n == BatchNorm || n == SharedBatchNorm }

// centred says whether the normalization subtracts a mean, after which each product has a
// bias of its own.
func (n Normalization) centred() bool { return n.Batch() || n == LayerNorm }
