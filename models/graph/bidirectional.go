package graph

import (
	"bittern/accel/kernels/vecmath"
	"bittern/models/recurrent"
)

// bidirectional is two layers that read one input, as a Function.
type bidirectional struct {
	forward, backward layer
	output            []float32
	gradients         [2][]float32 // of the two outputs, [rows × Units]
	dx                []float32    // what the second layer adds to the gradient of x
}

// Bidirectional returns two layers of one shape as a Function; the second layer scans in
// reverse. Its inputs are those that LayerInputs names for the first layer, then the
// parameters of the second. Its output is the hidden states of both layers side by side,
// [Steps·Batch, 2·Units], or with lastOnly those after the last step of each scan,
// [Batch, 2·Units].
func Bidirectional(forward, backward recurrent.Layer, lastOnly bool) Function {
	c := forward.Config()
	f := &bidirectional{
		forward:  layer{forward, c.Parameters(), lastOnly},
		backward: layer{backward, backward.Config().Parameters(), lastOnly},
	}
	size := len(f.forward.Output().Float32)
	f.output = make([]float32, 2*size)
	for i := range f.gradients {
		f.gradients[i] = make([]float32, size)
	}
	if !c.Tokens {
		f.dx = make([]float32, c.Steps*c.Batch*c.Inputs)
	}
	return f
}

func (f *bidirectional) Key() string {
	return "bidirectional " + f.forward.Key()
}

func (f *bidirectional) Output() Tensor {
	shape := f.forward.Output().Shape
	return Tensor{Shape: []int{shape[0], 2 * shape[1]}, Float32: f.output}
}

// split returns the inputs, or their gradients, of each layer.
func (f *bidirectional) split(in []Tensor) (forward, backward []Tensor) {
	first := len(LayerInputs(f.forward.Config()))
	shared := first - len(f.forward.parameters)
	return in[:first], append(in[:shared:shared], in[first:]...)
}

func (f *bidirectional) Forward(in []Tensor) error {
	forward, backward := f.split(in)
	if err := f.forward.Forward(forward); err != nil {
		return err
	}
	if err := f.backward.Forward(backward); err != nil {
		return err
	}
	units := f.forward.Config().Units
	a, b := f.forward.Output().Float32, f.backward.Output().Float32
	for from, to := 0, 0; from < len(a); from, to = from+units, to+2*units {
		copy(f.output[to:to+units], a[from:])
		copy(f.output[to+units:to+2*units], b[from:])
	}
	return nil
}

func (f *bidirectional) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	units := f.forward.Config().Units
	for at, from := 0, 0; from < len(gradient); at, from = at+units, from+2*units {
		copy(f.gradients[0][at:at+units], gradient[from:])
		copy(f.gradients[1][at:at+units], gradient[from+units:])
	}
	out := make([]Tensor, len(gradients))
	for i, g := range gradients {
		out[i].Float32 = g
	}
	forward, backward := f.split(in)
	dForward, dBackward := f.split(out)
	wanted := dForward[0].Float32
	if wanted != nil {
		dBackward[0].Float32 = f.dx
	}
	if err := f.forward.backwardTo(forward, f.gradients[0], dForward); err != nil {
		return err
	}
	if err := f.backward.backwardTo(backward, f.gradients[1], dBackward); err != nil {
		return err
	}
	if wanted != nil {
		vecmath.Add(wanted, f.dx)
	}
	return nil
}
