// Package graph builds the networks of this project as Gorgonia expression
// graphs whose heavy nodes are fused operators. It is the only package that
// knows Gorgonia.
//
// A [Graph] is put together from [Graph.Input], [Graph.Parameter] and
// [Graph.Apply]. Gorgonia differentiates it and its tape machine runs it; the
// tensors are slices of the caller's and nothing is copied, so that values
// read from and gradients written to a shared arena stay there.
package graph

import (
	"fmt"
	"sync"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Tensor is a row-major slice with its shape; one of the slices is set. A
// scalar has no dimensions and one element.
type Tensor struct {
	Shape   []int
	Float32 []float32
	Int32   []int32
}

// Function is a differentiable function of tensors that the graph runs as one
// node forward and one node backward.
//
// A Function keeps what its backward pass needs between the two calls, so it can be used in
// one place of one graph only.
type Function interface {
	// Key names the function with every setting that changes what it
	// computes.
	Key() string

	// Output is the tensor that Forward writes, the same at every run.
	Output() Tensor

	Forward(inputs []Tensor) error

	// Backward overwrites gradients[i] with the gradient with respect to
	// inputs[i], given the gradient with respect to the output. It skips entries
	// that are nil.
	Backward(inputs []Tensor, gradient []float32, gradients [][]float32) error
}

// Graph is a network under construction. It keeps the first mistake in building it, which
// [Graph.Compile] and [Graph.Differentiate] return.
type Graph struct {
	graph      *G.ExprGraph
	parameters []*Node
	functions  int
	err        error
}

// Node is a value in a graph.
type Node struct {
	node     *G.Node
	gradient []float32 // where the gradient is written; nil where there is none
	used     bool
	value    Tensor
}

// Value is the tensor that holds the node's value, the same at every run.
func (n *Node) Value() Tensor { return n.value }

// New returns an empty graph.
func New() *Graph { return &Graph{graph: G.NewGraph()} }

// Input adds a tensor that is not differentiated.
func (g *Graph) Input(name string, value Tensor) *Node {
	return g.add(name, value, nil)
}

// Parameter adds a tensor whose gradient is written to gradient, of the same
// length, by every run of the program that [Graph.Differentiate] returns.
func (g *Graph) Parameter(name string, value Tensor, gradient []float32) *Node {
	if len(gradient) != len(value.Float32) {
		g.fail(fmt.Errorf("parameter %s has %d values and %d gradients", name, len(value.Float32), len(gradient)))
	}
	n := g.add(name, value, gradient)
	g.parameters = append(g.parameters, n)
	return n
}

func (g *Graph) add(name string, value Tensor, gradient []float32) *Node {
	n := &Node{gradient: gradient, value: value}
	g.guard("add "+name, func() error {
		dense, err := value.dense()
		if err != nil {
			return err
		}
		n.node = G.NewTensor(g.graph, dense.Dtype(), len(value.Shape),
			G.WithShape(value.Shape...), G.WithName(name), G.WithValue(dense))
		return nil
	})
	return n
}

// Apply adds the value of f at inputs. Every node is the input of at most one
// function: a function owns the memory of its gradients.
func (g *Graph) Apply(f Function, inputs ...*Node) *Node {
	output := f.Output()
	n := &Node{value: output}
	g.guard("apply "+f.Key(), func() error {
		op := &forward{function: f, output: output}
		op.operator = operator{name: fmt.Sprintf("%s #%d", f.Key(), g.functions), output: tensor.Float32, shape: output.Shape}
		g.functions++
		if len(output.Shape) > 0 {
			value, err := output.dense()
			if err != nil {
				return err
			}
			op.value = value
			op.operator.output = G.TensorType{Dims: len(output.Shape), Of: tensor.Float32}
		}
		children := make(G.Nodes, len(inputs))
		for i, in := range inputs {
			if in.used {
				return fmt.Errorf("node %s is already the input of a function", in.node.Name())
			}
			in.used = true
			children[i] = in.node
			if in.gradient == nil && in.node.Op() != nil {
				in.gradient = make([]float32, len(in.value.Float32))
			}
			op.inputs = append(op.inputs, in.node.Type())
			op.shapes = append(op.shapes, in.node.Shape())
			op.gradients = append(op.gradients, in.gradient)
		}
		var err error
		n.node, err = G.ApplyOp(op, children...)
		return err
	})
	return n
}

// Compile returns the program that computes the nodes added so far.
func (g *Graph) Compile() (*Program, error) {
	var p *Program
	g.guard("compile", func() error {
		p = &Program{machine: G.NewTapeMachine(g.graph)}
		return nil
	})
	return p, g.err
}

// Differentiate returns the program that computes the nodes added so far and
// the gradients of loss, a scalar, with respect to every parameter.
func (g *Graph) Differentiate(loss *Node) (*Program, error) {
	g.guard("differentiate", func() error {
		wrt := make(G.Nodes, len(g.parameters))
		for i, p := range g.parameters {
			wrt[i] = p.node
		}
		_, err := differentiate(loss.node, wrt...)
		return err
	})
	return g.Compile()
}

// differentiating is locked while Gorgonia adds gradients to a graph, because Gorgonia then
// writes to constants that all graphs of a process share.
var differentiating sync.Mutex

// differentiate is Gorgonia's Grad, one graph at a time.
func differentiate(loss *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	differentiating.Lock()
	defer differentiating.Unlock()
	return G.Grad(loss, wrt...)
}

// guard runs a step of the construction unless an earlier one failed. Gorgonia
// panics on many mistakes; they end here as errors.
func (g *Graph) guard(doing string, step func() error) {
	if g.err != nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			g.fail(fmt.Errorf("graph: %s: %v", doing, r))
		}
	}()
	if err := step(); err != nil {
		g.fail(fmt.Errorf("graph: %s: %w", doing, err))
	}
}

func (g *Graph) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// Program is a compiled graph.
type Program struct {
	machine interface {
		RunAll() error
		Reset()
		Close() error
	}
}

// Run computes every node once.
func (p *Program) Run() error {
	defer p.machine.Reset()
	if err := p.machine.RunAll(); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	return nil
}

// Close releases the machine.
func (p *Program) Close() error { return p.machine.Close() }

func (t Tensor) dense() (*tensor.Dense, error) {
	shape := tensor.Shape(t.Shape)
	var backing any
	n := len(t.Float32)
	if t.Int32 != nil {
		backing, n = t.Int32, len(t.Int32)
	} else {
		backing = t.Float32
	}
	if shape.TotalSize() != n {
		return nil, fmt.Errorf("a tensor of shape %v has %d elements", t.Shape, n)
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(backing)), nil
}
