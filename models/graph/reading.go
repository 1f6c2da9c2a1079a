package graph

import (
	"fmt"

	"bittern/models/recurrent"
)

// streamEmbedding is a recurrent.Embedding of the tokens of several streams.
type streamEmbedding struct {
	embedding
	tokens []int32
}

// StreamEmbedding returns the operator as a Function of the tokens of each stream in
// turn, and the matrix [Size, Vocabulary] that they share. Its output is [n, Size],
// the streams one after another; n is that of the tokens of all streams.
func StreamEmbedding(e *recurrent.Embedding) Function {
	size, _ := e.Shape()
	return &streamEmbedding{embedding{e}, make([]int32, 0, len(e.Output())/size)}
}

func (f *streamEmbedding) Key() string { return "of streams: " + f.embedding.Key() }

func (f *streamEmbedding) Forward(in []Tensor) error {
	f.tokens = f.tokens[:0]
	for _, stream := range in[:len(in)-1] {
		f.tokens = append(f.tokens, stream.Int32...)
	}
	return f.Embedding.Forward(in[len(in)-1].Float32, f.tokens)
}

func (f *streamEmbedding) Backward(_ []Tensor, gradient []float32, gradients [][]float32) error {
	return f.Embedding.Backward(f.tokens, gradient, gradients[len(gradients)-1])
}

// readers are two recurrent.Reader as one Function.
type readers struct {
	text, question *recurrent.Reader
	parameters     []recurrent.Tensor // of either
	output         []float32
}

// Readers returns two readers as one Function: one of a text, whose outputs at every step are
// used, and one of a question, of which only the last is. Both have lengths, and the same
// batch, inputs and units. ReaderInputs names the inputs of the Function. Its output is
// [(Steps+1)·Batch, 2·Units]: the text's steps, then the question.
func Readers(text, question *recurrent.Reader) (Function, error) {
	a, b := text.Config(), question.Config()
	if b.Steps = a.Steps; a != b || !a.Masked || text.LastOnly() || !question.LastOnly() {
		return nil, fmt.Errorf("graph: readers of a text and a question differ in their steps and their output alone, not %+v and %+v", a, b)
	}
	return &readers{text: text, question: question, parameters: a.Parameters(),
		output: make([]float32, (text.Rows()+question.Rows())*2*a.Units)}, nil
}

// ReaderInputs names the inputs of [Readers] in order: "x", the features of the text's
// steps and then of the question's, [(Steps+Steps)·Batch, Inputs]; the lengths of
// both, [Batch]; and the parameters of the layers, as name makes them: the
// text's forward and backward, then the question's.
func ReaderInputs(c recurrent.Config, name func(stream, direction int, part string) string) []string {
	names := []string{"x", "text lengths", "question lengths"}
	for stream := range 2 {
		for direction := range recurrent.Directions {
			for _, p := range c.Parameters() {
				names = append(names, name(stream, direction, p.Name))
			}
		}
	}
	return names
}

func (f *readers) Key() string {
	return fmt.Sprintf("readers of %d and %+v", f.text.Config().Steps, f.question.Config())
}

func (f *readers) Output() Tensor {
	width := 2 * f.text.Config().Units
	return Tensor{Shape: []int{len(f.output) / width, width}, Float32: f.output}
}

// split cuts what lies one after another, in rows of width, into the text's and the question's.
func (f *readers) split(data []float32, rows, width int) (text, question []float32) {
	if data == nil {
		return nil, nil
	}
	return data[:rows*width], data[rows*width:]
}

// inputRows is the number of rows of the text's features.
func (f *readers) inputRows() int { return f.text.Config().Steps * f.text.Config().Batch }

func (f *readers) inputs(in []Tensor) (text, question recurrent.Input) {
	x, y := f.split(in[0].Float32, f.inputRows(), f.text.Config().Inputs)
	return recurrent.Input{Features: x, Lengths: in[1].Int32}, recurrent.Input{Features: y, Lengths: in[2].Int32}
}

// weights finds the layers' tensors behind the first three inputs.
func (f *readers) weights(slice func(i int) []float32) (text, question [recurrent.Directions]recurrent.Weights) {
	i := 3
	for _, w := range []*[recurrent.Directions]recurrent.Weights{&text, &question} {
		for direction := range w {
			for _, p := range f.parameters {
				*w[direction].Field(p.Name) = slice(i)
				i++
			}
		}
	}
	return text, question
}

func (f *readers) Forward(in []Tensor) error {
	text, question := f.weights(func(i int) []float32 { return in[i].Float32 })
	x, asked := f.inputs(in)
	y, u := f.split(f.output, f.text.Rows(), 2*f.text.Config().Units)
	if err := f.text.Forward(text, x, y); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	if err := f.question.Forward(question, asked, u); err != nil {
		return fmt.Errorf("question: %w", err)
	}
	return nil
}

func (f *readers) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	text, question := f.weights(func(i int) []float32 { return in[i].Float32 })
	dText, dQuestion := f.weights(func(i int) []float32 { return gradients[i] })
	x, asked := f.inputs(in)
	y, u := f.split(gradient, f.text.Rows(), 2*f.text.Config().Units)
	dx, dAsked := f.split(gradients[0], f.inputRows(), f.text.Config().Inputs)
	if err := f.text.Backward(text, x, y, dText, dx); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	if err := f.question.Backward(question, asked, u, dQuestion, dAsked); err != nil {
		return fmt.Errorf("question: %w", err)
	}
	return nil
}

type attention struct {
	*recurrent.Attention
	parameters []recurrent.Tensor
}

// Attention returns the operator as a Function of the output of [Readers], the lengths of
// the text, [Batch], and the operator's parameters. Its output is [Batch, Units].
func Attention(a *recurrent.Attention) Function { return attention{a, a.Config().Parameters()} }

func (f attention) Key() string { return fmt.Sprintf("attention %+v", f.Config()) }

func (f attention) Output() Tensor {
	c := f.Config()
	return Tensor{Shape: []int{c.Batch, c.Units}, Float32: f.Attention.Output()}
}

func (f attention) weights(slice func(i int) []float32) (w recurrent.AttentionWeights) {
	for i, p := range f.parameters {
		*w.Field(p.Name) = slice(2 + i)
	}
	return w
}

// split cuts the rows of the text from those of the question.
func (f attention) split(data []float32) (text, question []float32) {
	c := f.Config()
	at := min(len(data), c.Steps*c.Batch*c.Features)
	return data[:at], data[at:]
}

func (f attention) Forward(in []Tensor) error {
	y, u := f.split(in[0].Float32)
	return f.Attention.Forward(f.weights(func(i int) []float32 { return in[i].Float32 }), y, u, in[1].Int32)
}

func (f attention) Backward(in []Tensor, gradient []float32, gradients [][]float32) error {
	y, u := f.split(in[0].Float32)
	dY, dU := f.split(gradients[0])
	return f.Attention.Backward(f.weights(func(i int) []float32 { return in[i].Float32 }), y, u, in[1].Int32, gradient,
		f.weights(func(i int) []float32 { return gradients[i] }), dY, dU)
}
