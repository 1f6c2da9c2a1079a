package onnx

import (
	"fmt"
	"math"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// value is what a name of a program or of a step graph stands for in the model.
type value struct {
	name string
	size int
	// stepped says that there is a vector for each step: [steps, sequences, size], a token
	// without the size. Else there is one for all steps, [sequences, size]. In the body of a
	// Scan, which has one step at a time, no value is stepped.
	stepped bool
}

// compiler makes a model of a program.
type compiler struct {
	network network.Network
	weights map[string]packed.Matrix
	options Options
	shapes  map[string]network.Value

	main         *block
	initializers []*onnxpb.TensorProto
	values       map[string]value  // of inputs and stages
	made         map[string]string // of [compiler.once]
	opset        int64
	recurrences  []string
}

func newCompiler(n network.Network, weights map[string]packed.Matrix, o Options) *compiler {
	return &compiler{
		network: n, weights: weights, options: o, shapes: n.Values(),
		main: &block{names: &names{taken: map[string]bool{"": true, outputName: true}}}, opset: opsetBase,
		values: map[string]value{}, made: map[string]string{},
	}
}

// The names of dimensions that are not fixed; the steps of a stream have the stream's.
const sequencesDim = "sequences"

func stepsDim(stream string) string { return "steps of " + stream }

// The types of tensors in short.
const (
	float32s = onnxpb.TensorProto_FLOAT
	int32s   = onnxpb.TensorProto_INT32
	int64s   = onnxpb.TensorProto_INT64
	bools    = onnxpb.TensorProto_BOOL
)

func (c *compiler) program() error {
	for _, in := range c.network.Inputs {
		c.main.names.taken[in.Name] = true
		switch in.Role {
		case network.Tokens:
			c.main.input(in.Name, int32s, stepsDim(in.Stream), sequencesDim)
		case network.Features:
			c.main.input(in.Name, float32s, stepsDim(in.Stream), sequencesDim, in.Size)
		case network.Lengths:
			c.main.input(in.Name, int32s, sequencesDim)
			continue
		case network.Candidates:
			c.main.input(in.Name, int32s, sequencesDim, in.Size)
			continue
		default:
			return fmt.Errorf("onnx: input %q: there is nothing for the role %q", in.Name, in.Role)
		}
		c.values[in.Name] = value{name: in.Name, size: in.Size, stepped: true}
	}
	if c.options.Carried {
		c.main.names.taken[network.TensorFresh] = true
		c.main.input(network.TensorFresh, int32s, sequencesDim)
	}
	for _, s := range c.network.Stages {
		var err error
		switch s.Op {
		case network.Scan:
			err = c.scan(s)
		case network.Softmax:
			c.softmax(s)
		case network.WeightedSum:
			c.weightedSum(s)
		default:
			err = inexpressible(s.Name, fmt.Sprintf("the operation %q", s.Op))
		}
		if err != nil {
			return err
		}
	}
	c.logits()
	return nil
}

// inexpressible is the Problem of something in a stage that this package does not know.
func inexpressible(stage, what string) error {
	return plugins.Problemf("the stage %q cannot be written as ONNX, for there is nothing for %s; export the network as safetensors", stage, what)
}

// logits makes the output.
func (c *compiler) logits() {
	out := c.values[c.network.Output]
	stream := c.network.Targets()
	last := func(operator string, inputs ...string) { c.main.node(operator, []string{outputName}, inputs) }
	dims := []any{sequencesDim, out.size}
	if stream != "" {
		dims = append([]any{stepsDim(stream)}, dims...)
	}
	valid := ""
	if stream != "" {
		valid = c.valid(stream)
	}
	candidates := c.role(network.Candidates, "")
	switch {
	case candidates != "":
		if valid != "" {
			out.name = c.main.op("Where", "logits/valid", []string{valid, out.name, c.scalar(0)})
		}
		marked := c.main.op("Cast", candidates+"/marked", []string{candidates}, integer("to", int64(bools)))
		last("Where", marked, out.name, c.scalar(float32(math.Inf(-1))))
	case valid != "":
		last("Where", valid, out.name, c.scalar(0))
	default:
		last("Identity", out.name)
	}
	// First of the outputs, before the states that go on.
	before := c.main.outputs
	c.main.outputs = nil
	c.main.output(outputName, float32s, dims...)
	c.main.outputs = append(c.main.outputs, before...)
}

// role is the name of the input that has a role for a stream, or nothing.
func (c *compiler) role(role network.Role, stream string) string {
	for _, in := range c.network.Inputs {
		if in.Role == role && in.Stream == stream {
			return in.Name
		}
	}
	return ""
}

// stream returns an input that has a value at each step of a stream.
func (c *compiler) stream(name string) network.Input {
	for _, in := range c.network.Inputs {
		if in.Stream == name && (in.Role == network.Tokens || in.Role == network.Features) {
			return in
		}
	}
	panic("onnx: a stage reads a stream that no input has") // Validate refuses it
}

// sequences is how many there are, int64 [1].
func (c *compiler) sequences() string {
	return c.once("sequences", func(name string) string {
		for _, in := range c.network.Inputs {
			if in.Role == network.Tokens || in.Role == network.Features {
				return c.main.op("Shape", name, []string{in.Name}, integer("start", 1), integer("end", 2))
			}
		}
		panic("onnx: a program without an input that is read") // Validate refuses it
	})
}

// steps is how many a stream has, int64 [1].
func (c *compiler) steps(stream string) string {
	return c.once("steps/"+stream, func(name string) string {
		return c.main.op("Shape", name, []string{c.stream(stream).Name}, integer("start", 0), integer("end", 1))
	})
}

// numbered are the numbers of a stream's steps from 0, int64 [steps, 1].
func (c *compiler) numbered(stream string) string {
	return c.once("numbered/"+stream, func(name string) string {
		steps := c.main.op("Squeeze", name+"/limit", []string{c.steps(stream), c.list(0)})
		numbers := c.main.op("Range", name+"/range", []string{c.index(0), steps, c.index(1)})
		return c.main.op("Unsqueeze", name, []string{numbers, c.list(1)})
	})
}

// lengths are the steps that each sequence has of a stream, int64 [sequences], or [1]
// where all have the same.
func (c *compiler) lengths(stream string) string {
	given := c.role(network.Lengths, stream)
	if given == "" {
		return c.steps(stream)
	}
	return c.once("lengths/"+stream, func(name string) string {
		return c.main.op("Cast", name, []string{given}, integer("to", int64(int64s)))
	})
}

// valid says of each step of a stream whether a sequence has it, bool [steps,
// sequences, 1]. It is nothing where every sequence has all steps.
func (c *compiler) valid(stream string) string {
	if c.role(network.Lengths, stream) == "" {
		return ""
	}
	return c.once("valid/"+stream, func(name string) string {
		below := c.main.op("Less", name+"/flat", []string{c.numbered(stream), c.lengths(stream)})
		return c.main.op("Unsqueeze", name, []string{below, c.list(2)})
	})
}

// positions are the time steps of a scan before each step, int64 [steps, sequences].
func (c *compiler) positions(stream string, reverse bool) string {
	direction := "forward"
	if reverse {
		direction = "reverse"
	}
	return c.once("positions/"+stream+"/"+direction, func(name string) string {
		all := c.shapeOf(name, c.steps(stream), c.sequences())
		if !reverse {
			sum := c.main.op("Add", name+"/sum", []string{c.numbered(stream), c.start(stream)})
			return c.main.op("Expand", name, []string{sum, all})
		}
		after := c.main.op("Add", name+"/after", []string{c.numbered(stream), c.index(1)})
		left := c.main.op("Sub", name+"/left", []string{c.lengths(stream), after})
		// Below 0 are steps that the sequence does not have.
		left = c.main.op("Max", name+"/least", []string{left, c.index(0)})
		return c.main.op("Expand", name, []string{left, all})
	})
}

// start is the position that a forward scan begins at, int64 [1] or [sequences].
func (c *compiler) start(stream string) string {
	if !c.options.Carried {
		return c.list(0)
	}
	return c.once("start/"+stream, func(name string) string {
		given := "position/" + stream
		c.main.names.taken[given] = true
		c.main.input(given, int64s, sequencesDim)
		start := c.main.op("Where", name, []string{c.startsFresh(), c.index(0), given})
		next := "next/" + given
		c.main.names.taken[next] = true
		c.main.node("Add", []string{next}, []string{start, c.lengths(stream)})
		c.main.output(next, int64s, sequencesDim)
		return start
	})
}

// startsFresh says of each sequence whether it does, bool [sequences].
func (c *compiler) startsFresh() string {
	return c.once("starts fresh", func(name string) string {
		return c.main.op("Cast", name, []string{network.TensorFresh}, integer("to", int64(bools)))
	})
}

// shapeOf is the shape of some dimensions, each a value of int64 [1].
func (c *compiler) shapeOf(wanted string, dims ...string) string {
	return c.main.op("Concat", wanted+"/shape", dims, integer("axis", 0))
}

// expand gives a value that is the same at all steps of a stream one for each.
func (c *compiler) expand(v value, stream string) value {
	shape := c.shapeOf(v.name, c.steps(stream), c.sequences(), c.list(int64(v.size)))
	return value{name: c.main.op("Expand", v.name+"/steps", []string{v.name, shape}), size: v.size, stepped: true}
}

func (c *compiler) softmax(s network.Stage) {
	x := c.values[s.Inputs[0]]
	if valid := c.valid(c.shapes[s.Name].Stream); valid != "" {
		x.name = c.main.op("Where", s.Name+"/valid", []string{valid, x.name, c.scalar(float32(math.Inf(-1)))})
	}
	x.name = c.main.op("Softmax", s.Name, []string{x.name}, integer("axis", 0))
	c.values[s.Name] = x
}

func (c *compiler) weightedSum(s network.Stage) {
	weights, x := c.values[s.Inputs[0]], c.values[s.Inputs[1]]
	products := c.main.op("Mul", s.Name+"/products", []string{weights.name, x.name})
	if valid := c.valid(c.shapes[s.Inputs[1]].Stream); valid != "" {
		products = c.main.op("Where", s.Name+"/valid", []string{valid, products, c.scalar(0)})
	}
	sum := c.main.op("ReduceSum", s.Name, []string{products, c.list(0)}, integer("keepdims", 0))
	c.values[s.Name] = value{name: sum, size: x.size}
}
