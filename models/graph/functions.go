package graph

import (
	"fmt"

	"bittern/models/recurrent"
)

// lstm is a recurrent.LSTM as a Function of the input, Wx, Wh, beta, h0, c0
// and, with batch normalization, gamma_h, gamma_x, gamma_c, beta_c.
type lstm struct{ *recurrent.LSTM }

// LSTM returns the layer as a Function. Its inputs are those LSTMInputs names;
// its output is the hidden states, [Steps·Batch, Units].
func LSTM(l *recurrent.LSTM) Function { return lstm{l} }

// LSTMInputs names the inputs of [LSTM] in order: "x", [Steps, Batch] tokens or
// [Steps·Batch, Inputs] features, then the layer's parameters.
func LSTMInputs(batchNorm bool) []string {
	names := []string{"x", "Wx", "Wh", "beta", "h0", "c0"}
	if batchNorm {
		names = append(names, "gamma_h", "gamma_x", "gamma_c", "beta_c")
	}
	return names
}

func (f lstm) Key() string { return fmt.Sprintf("LSTM %+v", f.Config()) }

func (f lstm) Output() Tensor {
	c := f.Config()
	return Tensor{Shape: []int{c.Steps * c.Batch, c.Units}, Float32: f.Hidden()}
}

func (f lstm) Forward(in []Tensor) error {
	return f.LSTM.Forward(f.arguments(in))
}

func (f lstm) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	w, x := f.arguments(in)
	out := make([]Tensor, len(gradients))
	for i, g := range gradients {
		out[i].Float32 = g
	}
	dw, dx := f.arguments(out)
	return f.LSTM.Backward(w, x, gradient, dw, dx.Features)
}

func (f lstm) arguments(in []Tensor) (recurrent.LSTMWeights, recurrent.LSTMInput) {
	w := recurrent.LSTMWeights{
		Wx: in[1].Float32, Wh: in[2].Float32, Beta: in[3].Float32, H0: in[4].Float32, C0: in[5].Float32,
	}
	if f.Config().BatchNorm {
		w.GammaH, w.GammaX, w.GammaC, w.BetaC = in[6].Float32, in[7].Float32, in[8].Float32, in[9].Float32
	}
	return w, recurrent.LSTMInput{Tokens: in[0].Int32, Features: in[0].Float32}
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

type lastStep struct{ *recurrent.LastStep }

// LastStep returns the operator as a Function of a sequence, [Steps·Batch,
// Units]. Its output is [Batch·Units].
func LastStep(s *recurrent.LastStep) Function { return lastStep{s} }

func (f lastStep) Key() string { return "last step" }

func (f lastStep) Output() Tensor {
	out := f.LastStep.Output()
	return Tensor{Shape: []int{len(out)}, Float32: out}
}

func (f lastStep) Forward(in []Tensor) error { return f.LastStep.Forward(in[0].Float32) }

func (f lastStep) Backward(_ []Tensor, gradient []float32, gradients [][]float32) error {
	return f.LastStep.Backward(gradients[0], gradient)
}
