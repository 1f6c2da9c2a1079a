package graph

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gorgonia wants one node per gradient, but a fused operator computes all gradients in one
// backward pass. So the symbolic derivative of forward is one backward node, which runs the
// pass and writes every gradient, and one pick node per input, which returns the gradient
// that is already written.

// forward is a Function as a Gorgonia Op.
type forward struct {
	operator
	function  Function
	output    Tensor
	value     G.Value
	shapes    []tensor.Shape // of the inputs
	gradients [][]float32    // of the inputs; nil where none is wanted
}

func (op *forward) Do(values ...G.Value) (out G.Value, err error) {
	defer recoverTo(&err, op.function)
	inputs, err := tensors(values)
	if err != nil {
		return nil, err
	}
	if err := op.function.Forward(inputs); err != nil {
		return nil, fmt.Errorf("%s: %w", op.function.Key(), err)
	}
	if len(op.output.Shape) == 0 {
		return G.NewF32(op.output.Float32[0]), nil
	}
	return op.value, nil
}

// DiffWRT implements [G.SDOp].
func (op *forward) DiffWRT(inputs int) []bool {
	out := make([]bool, inputs)
	for i := range out {
		out[i] = op.gradients[i] != nil
	}
	return out
}

// SymDiff implements [G.SDOp].
func (op *forward) SymDiff(inputs G.Nodes, output, gradient *G.Node) (G.Nodes, error) {
	children := append(slices.Clone(inputs), output, gradient)
	b := &backward{forward: op}
	b.operator = operator{name: "backward of " + op.name, output: tensor.Float32}
	for _, n := range children {
		b.inputs = append(b.inputs, n.Type())
	}
	node, err := G.ApplyOp(b, children...)
	if err != nil {
		return nil, err
	}
	out := make(G.Nodes, len(inputs))
	for i, gradient := range op.gradients {
		if gradient == nil {
			continue
		}
		value := tensor.New(tensor.WithShape(op.shapes[i]...), tensor.WithBacking(gradient))
		p := &pick{value: value, operator: operator{
			name:   fmt.Sprintf("gradient %d of %s", i, op.name),
			inputs: []hm.Type{node.Type()}, output: op.inputs[i], shape: op.shapes[i],
		}}
		if out[i], err = G.ApplyOp(p, node); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// backward runs a Function's backward pass. Its value carries no data; it makes the picks
// run after it.
type backward struct {
	operator
	forward *forward
}

func (op *backward) Do(values ...G.Value) (out G.Value, err error) {
	f := op.forward.function
	defer recoverTo(&err, f)
	inputs, err := tensors(values)
	if err != nil {
		return nil, err
	}
	last := len(inputs) - 1
	if err := f.Backward(inputs[:last-1], inputs[last].Float32, op.forward.gradients); err != nil {
		return nil, fmt.Errorf("gradient of %s: %w", f.Key(), err)
	}
	return G.NewF32(0), nil
}

// pick returns one gradient of a backward node.
type pick struct {
	operator
	value G.Value
}

func (op *pick) Do(...G.Value) (G.Value, error) { return op.value, nil }

// operator is what the three Ops have in common: their place in Gorgonia's
// type system. They return memory of their own, so nothing is overwritten and
// no register's memory is reused. The name tells every operator of a graph
// from every other, which keeps Gorgonia from merging nodes.
type operator struct {
	name   string
	inputs []hm.Type
	output hm.Type
	shape  tensor.Shape
}

func (o *operator) Arity() int { return len(o.inputs) }

func (o *operator) Type() hm.Type {
	return hm.NewFnType(append(slices.Clone(o.inputs), o.output)...)
}

func (o *operator) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }
func (o *operator) ReturnsPtr() bool                               { return false }
func (o *operator) CallsExtern() bool                              { return false }
func (o *operator) OverwritesInput() int                           { return -1 }
func (o *operator) WriteHash(h hash.Hash)                          { fmt.Fprint(h, o.name) }
func (o *operator) String() string                                 { return o.name }

func (o *operator) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// recoverTo turns a panic of a Function into an error. It has to happen here, because the
// tape machine runs operators on a goroutine of its own.
func recoverTo(err *error, f Function) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: panic: %v", f.Key(), r)
	}
}

// tensors reads Gorgonia's values as tensors, without copying but for scalars.
func tensors(values []G.Value) ([]Tensor, error) {
	out := make([]Tensor, len(values))
	for i, v := range values {
		out[i].Shape = v.Shape()
		switch data := v.Data().(type) {
		case []float32:
			out[i].Float32 = data
		case float32:
			out[i].Float32 = []float32{data}
		case []int32:
			out[i].Int32 = data
		default:
			return nil, fmt.Errorf("input %d is a %T, which no function takes", i, data)
		}
	}
	return out, nil
}
