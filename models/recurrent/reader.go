package recurrent

import (
	"errors"

	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
)

// The directions in which a [Reader] reads. Step s of the backward layer is step n−1−s of a
// sequence of n steps.
const (
	ReadForward = iota
	ReadBackward
	Directions
)

// Reader reads sequences of features with two layers of one shape, one
// from the first step to the last and one from the last to the first, and puts
// their hidden states side by side, forward first:
//
//	every step   y(t) = →h(t) ‖ ←h(t), [Steps × Batch × 2·Units]
//	last only    y = →h(n) ‖ ←h(1), [Batch × 2·Units]
//
// where ←h(1) is what the layer that reads backward ends with.
//
// Both layers scan forward: the second is given each sequence with its steps in reverse
// order. So in either layer all sequences are at their first step at the same time,
// whatever their lengths, which batch normalization relies on.
type Reader struct {
	config   Config
	lastOnly bool
	team     *team.Team
	layers   [Directions]Layer

	reversed, dReversed []float32 // features in the second layer's order, [Steps × Batch × Inputs]
	above               [Directions][]float32

	reverse, collect, distribute, sum func(worker int)

	// The arguments of the pass that is running.
	input     Input
	output    []float32
	gradient  []float32
	dFeatures []float32
}

// NewReader returns a reader that runs on t. Both layers have the same configuration, which
// scans forward over features.
func NewReader(t *team.Team, config Config, lastOnly bool) (*Reader, error) {
	if config.Tokens || config.Reverse || config.Carry {
		return nil, errors.New("reader: a layer of it takes features, has its direction from its place, and carries no state")
	}
	r := &Reader{config: config, lastOnly: lastOnly, team: t}
	for direction := range r.layers {
		layer, err := New(t, config)
		if err != nil {
			return nil, err
		}
		r.layers[direction] = layer
		r.above[direction] = make([]float32, config.Steps*config.Batch*config.Units)
	}
	r.reversed = make([]float32, config.Steps*config.Batch*config.Inputs)
	r.dReversed = make([]float32, len(r.reversed))
	r.reverse, r.collect, r.distribute, r.sum = r.reverseFeatures, r.collectStates, r.distributeGradient, r.sumGradients
	return r, nil
}

// Config is the shape of each of the two layers.
func (r *Reader) Config() Config { return r.config }

// LastOnly says whether the output is that of the last steps alone.
func (r *Reader) LastOnly() bool { return r.lastOnly }

// Layer returns the layer of a direction, for the caller to prepare and export.
func (r *Reader) Layer(direction int) Layer { return r.layers[direction] }

// Rows is the number of rows of the output, each of 2·Units.
func (r *Reader) Rows() int {
	if r.lastOnly {
		return r.config.Batch
	}
	return r.config.Steps * r.config.Batch
}

// Forward overwrites output [Rows × 2·Units]. Steps beyond a sequence's length are 0.
func (r *Reader) Forward(w [Directions]Weights, in Input, output []float32) error {
	if err := errors.Join(r.config.checkInput(in),
		mismatch("reader", "the output", len(output), r.Rows(), 2*r.config.Units)); err != nil {
		return err
	}
	r.input, r.output = in, output
	r.team.Run(r.reverse)
	if err := errors.Join(
		r.layers[ReadForward].Forward(w[ReadForward], in),
		r.layers[ReadBackward].Forward(w[ReadBackward], Input{Features: r.reversed, Lengths: in.Lengths})); err != nil {
		return err
	}
	r.team.Run(r.collect)
	return nil
}

// Backward overwrites dw with the gradients with respect to the weights, and
// dFeatures, where it is not nil, with the one with respect to the features; gradient
// is that of the output. It follows a Forward with the same w and in.
func (r *Reader) Backward(w [Directions]Weights, in Input, gradient []float32, dw [Directions]Weights, dFeatures []float32) error {
	if err := errors.Join(r.config.checkInput(in),
		mismatch("reader", "the gradient", len(gradient), r.Rows(), 2*r.config.Units)); err != nil {
		return err
	}
	r.input, r.gradient, r.dFeatures = in, gradient, dFeatures
	r.team.Run(r.distribute)
	dReversed := r.dReversed
	if dFeatures == nil {
		dReversed = nil
	}
	if err := errors.Join(
		r.layers[ReadForward].Backward(w[ReadForward], in, r.above[ReadForward], dw[ReadForward], dFeatures),
		r.layers[ReadBackward].Backward(w[ReadBackward], Input{Features: r.reversed, Lengths: in.Lengths},
			r.above[ReadBackward], dw[ReadBackward], dReversed)); err != nil {
		return err
	}
	if dFeatures != nil {
		r.team.Run(r.sum)
	}
	return nil
}

// length is the number of steps of a sequence.
func (r *Reader) length(sequence int) int {
	if r.config.Masked {
		return int(r.input.Lengths[sequence])
	}
	return r.config.Steps
}

// row is one sequence's row of width floats at time t.
func (r *Reader) row(data []float32, t, sequence, width int) []float32 {
	return data[(t*r.config.Batch+sequence)*width:][:width]
}

// A worker owns a range of time steps of every sequence.

func (r *Reader) reverseFeatures(worker int) {
	from, to := r.team.Split(worker, r.config.Steps, 1)
	n := r.config.Inputs
	for t := from; t < to; t++ {
		for i := range r.config.Batch {
			if length := r.length(i); t < length {
				copy(r.row(r.reversed, t, i, n), r.row(r.input.Features, length-1-t, i, n))
			} else {
				clear(r.row(r.reversed, t, i, n))
			}
		}
	}
}

func (r *Reader) collectStates(worker int) {
	from, to := r.team.Split(worker, r.config.Steps, 1)
	n := r.config.Units
	ahead, back := r.layers[ReadForward].Hidden(), r.layers[ReadBackward].Hidden()
	for t := from; t < to; t++ {
		for i := range r.config.Batch {
			length := r.length(i)
			switch {
			case r.lastOnly && t == length-1:
				y := r.row(r.output, 0, i, 2*n)
				copy(y, r.row(ahead, t, i, n))
				copy(y[n:], r.row(back, t, i, n))
			case r.lastOnly:
			case t < length:
				y := r.row(r.output, t, i, 2*n)
				copy(y, r.row(ahead, t, i, n))
				copy(y[n:], r.row(back, length-1-t, i, n))
			default:
				clear(r.row(r.output, t, i, 2*n))
			}
		}
	}
}

func (r *Reader) distributeGradient(worker int) {
	from, to := r.team.Split(worker, r.config.Steps, 1)
	n := r.config.Units
	for t := from; t < to; t++ {
		for i := range r.config.Batch {
			length := r.length(i)
			ahead, back := r.row(r.above[ReadForward], t, i, n), r.row(r.above[ReadBackward], t, i, n)
			switch {
			case r.lastOnly && t == length-1:
				g := r.row(r.gradient, 0, i, 2*n)
				copy(ahead, g)
				copy(back, g[n:])
			case !r.lastOnly && t < length:
				copy(ahead, r.row(r.gradient, t, i, 2*n))
				copy(back, r.row(r.gradient, length-1-t, i, 2*n)[n:])
			default:
				clear(ahead)
				clear(back)
			}
		}
	}
}

func (r *Reader) sumGradients(worker int) {
	from, to := r.team.Split(worker, r.config.Steps, 1)
	n := r.config.Inputs
	for t := from; t < to; t++ {
		for i := range r.config.Batch {
			if length := r.length(i); t < length {
				vecmath.Add(r.row(r.dFeatures, t, i, n), r.row(r.dReversed, length-1-t, i, n))
			}
		}
	}
}
