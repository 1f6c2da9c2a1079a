package graph

import (
	"fmt"

	"bittern/models/recurrent"
)

// layer is a recurrent.Layer as a Function.
type layer struct {
	recurrent.Layer
	parameters []recurrent.Tensor
	lastOnly   bool
}

// Recurrent returns the layer as a Function. LayerInputs names its inputs. Its output is all
// hidden states, [Steps·Batch, Units], or with lastOnly those after the last step of the
// scan, [Batch, Units].
func Recurrent(l recurrent.Layer, lastOnly bool) Function {
	return layer{l, l.Config().Parameters(), lastOnly}
}

// LayerInputs names the inputs of [Recurrent] in order: "x", [Steps, Batch] tokens or
// [Steps·Batch, Inputs] features; of a masked layer "lengths", [Batch]; then
// the layer's parameters.
func LayerInputs(c recurrent.Config) []string {
	names := []string{"x"}
	if c.Masked {
		names = append(names, "lengths")
	}
	for _, p := range c.Parameters() {
		names = append(names, p.Name)
	}
	return names
}

func (f layer) Key() string {
	return fmt.Sprintf("%s %+v, last only: %v", f.Config().Kind, f.Config(), f.lastOnly)
}

func (f layer) Output() Tensor {
	c := f.Config()
	if f.lastOnly {
		return Tensor{Shape: []int{c.Batch, c.Units}, Float32: f.Last()}
	}
	return Tensor{Shape: []int{c.Steps * c.Batch, c.Units}, Float32: f.Hidden()}
}

func (f layer) Forward(in []Tensor) error {
	return f.Layer.Forward(f.arguments(in))
}

func (f layer) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	out := make([]Tensor, len(gradients))
	for i, g := range gradients {
		out[i].Float32 = g
	}
	return f.backwardTo(in, gradient, out)
}

// backwardTo is Backward with the gradients as tensors.
func (f layer) backwardTo(in []Tensor, gradient []float32, gradients []Tensor) error {
	w, x := f.arguments(in)
	dw, dx := f.arguments(gradients)
	return f.Layer.Backward(w, x, gradient, dw, dx.Features)
}

func (f layer) arguments(in []Tensor) (recurrent.Weights, recurrent.Input) {
	x := recurrent.Input{Tokens: in[0].Int32, Features: in[0].Float32}
	in = in[1:]
	if f.Config().Masked {
		x.Lengths, in = in[0].Int32, in[1:]
	}
	var w recurrent.Weights
	for i, p := range f.parameters {
		*w.Field(p.Name) = in[i].Float32
	}
	return w, x
}

// softmax is a recurrent.Softmax as a Function; loss is its output.
type softmax struct {
	*recurrent.Softmax
	loss []float32
}

// SoftmaxLoss returns the layer as a Function of h [Steps·Batch, Units], W
// [Classes, Units], b [Classes] and the targets [Steps·Batch]. Its output is
// the mean loss, a scalar.
func SoftmaxLoss(s *recurrent.Softmax) Function {
	return softmax{Softmax: s, loss: make([]float32, 1)}
}

func (f softmax) Key() string    { return fmt.Sprintf("softmax %+v", f.Config()) }
func (f softmax) Output() Tensor { return Tensor{Float32: f.loss} }

func (f softmax) Forward(in []Tensor) error {
	loss, err := f.Loss(in[1].Float32, in[2].Float32, in[0].Float32, in[3].Int32)
	f.loss[0] = float32(loss)
	return err
}

func (f softmax) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	return f.Softmax.Backward(in[1].Float32, in[0].Float32, gradient[0], gradients[1], gradients[2], gradients[0])
}

type dropout struct{ *recurrent.Dropout }

// Dropout returns the operator as a Function of one tensor of any shape. Its
// output is as long, in one dimension.
func Dropout(d *recurrent.Dropout) Function { return dropout{d} }

func (f dropout) Key() string { return fmt.Sprintf("dropout %v", f.Probability()) }

func (f dropout) Output() Tensor {
	return Tensor{Shape: []int{len(f.Dropout.Output())}, Float32: f.Dropout.Output()}
}

func (f dropout) Forward(in []Tensor) error { return f.Dropout.Forward(in[0].Float32) }

func (f dropout) Backward(_ []Tensor, gradient []float32, gradients [][]float32) error {
	return f.Dropout.Backward(gradients[0], gradient)
}

type embedding struct{ *recurrent.Embedding }

// Embedding returns the operator as a Function of the tokens, [n] or of any
// other shape, and the matrix [Size, Vocabulary]. Its output is [n, Size].
func Embedding(e *recurrent.Embedding) Function { return embedding{e} }

func (f embedding) Key() string {
	size, vocabulary := f.Shape()
	return fmt.Sprintf("embedding %d×%d", size, vocabulary)
}

func (f embedding) Output() Tensor {
	out := f.Embedding.Output()
	size, _ := f.Shape()
	return Tensor{Shape: []int{len(out) / size, size}, Float32: out}
}

func (f embedding) Forward(in []Tensor) error {
	return f.Embedding.Forward(in[1].Float32, in[0].Int32)
}

func (f embedding) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	return f.Embedding.Backward(in[0].Int32, gradient, gradients[1])
}
