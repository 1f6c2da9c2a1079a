package task

import (
	"fmt"

	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// Tensor is one of the tensors that a batch lies in.
type Tensor struct {
	Name    string
	Float32 bool // of elements that are float32, not int32
	Dims    []int
}

// The names of the tensors of a batch.
const (
	inputsName  = "inputs"
	targetsName = "targets"
)

// Tensors lists the tensors of a batch of a shape; see [model.TaskKind].
func Tensors(shape model.Task) ([]Tensor, error) {
	steps, batch := shape.Length, shape.Batch
	switch shape.Kind {
	case model.LanguageModel:
		return []Tensor{{Name: inputsName, Dims: []int{steps, batch}}, {Name: targetsName, Dims: []int{steps, batch}}}, nil
	case model.SequenceClassification:
		return []Tensor{
			{Name: inputsName, Float32: true, Dims: []int{steps, batch, shape.InputSize}},
			{Name: targetsName, Dims: []int{batch}},
		}, nil
	}
	return nil, fmt.Errorf("no inputs are known for the task kind %q", shape.Kind)
}

// CheckGraph says whether an exported network takes the inputs of a shape and answers
// one value for each of its classes.
func CheckGraph(g stepgraph.Graph, shape model.Task) error {
	if token := shape.Kind == model.LanguageModel; g.Input.Token != token || g.Input.Size != shape.InputSize {
		return fmt.Errorf("its input %s (token %v, size %d) is not the task's (token %v, size %d)",
			g.Input.Name, g.Input.Token, g.Input.Size, token, shape.InputSize)
	}
	if got := g.Sizes()[g.Output]; got != shape.OutputSize {
		return fmt.Errorf("its output %s has %d values for %d classes", g.Output, got, shape.OutputSize)
	}
	return nil
}
