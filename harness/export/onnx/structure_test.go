package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// TestModelsAreSound looks at the graphs of every sample program with every kind of weights:
// what ONNX demands of a graph, and that nothing in it is idle.
func TestModelsAreSound(t *testing.T) {
	t.Parallel()
	for _, p := range sample.Programs() {
		for _, weights := range []Weights{Packed, Int8, Float32} {
			for _, carried := range []bool{false, true} {
				m, err := Compile(p.Network, p.Weights, Options{Weights: weights, Carried: carried})
				if err != nil {
					t.Fatal(err)
				}
				for _, problem := range problems(m) {
					t.Errorf("%s, %s, carried %v: %s", p.Name, weights, carried, problem)
				}
				again, err := Compile(p.Network, p.Weights, Options{Weights: weights, Carried: carried})
				if err != nil {
					t.Fatal(err)
				}
				var first, second bytes.Buffer
				if err := errors.Join(m.Write(&first), again.Write(&second)); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
					t.Errorf("%s, %s, carried %v: two models of one program differ, %v", p.Name, weights, carried, err)
				}
			}
		}
	}
}

// since is the operator set that has an operator as it is written.
var since = map[string]int64{
	"Add": 14, "Mul": 14, "Sub": 14, "Div": 14, "Min": 13, "Max": 13, "Less": 13, "Where": 16, "Sigmoid": 13, "Tanh": 13, "Floor": 13, "Clip": 13,
	"MatMul": 13, "Gather": 13, "GatherND": 13, "Slice": 13, "Concat": 13, "Expand": 13, "Squeeze": 13, "Unsqueeze": 13, "Transpose": 13,
	"Shape": 15, "Range": 11, "Cast": 13, "Identity": 16, "OneHot": 11, "Softmax": 13, "ReduceSum": 13, "LayerNormalization": 17,
	"DequantizeLinear": 13, "LSTM": 14, "GRU": 14, "Scan": 16,
}

// elementBits and elementSince are of the types of initializers.
var (
	elementBits = map[onnxpb.TensorProto_DataType]int{
		onnxpb.TensorProto_FLOAT: 32, onnxpb.TensorProto_INT64: 64, onnxpb.TensorProto_INT2: 2, onnxpb.TensorProto_UINT2: 2,
		onnxpb.TensorProto_INT4: 4, onnxpb.TensorProto_UINT4: 4, onnxpb.TensorProto_INT8: 8, onnxpb.TensorProto_UINT8: 8, onnxpb.TensorProto_INT16: 16,
	}
	elementSince = map[onnxpb.TensorProto_DataType]int64{
		onnxpb.TensorProto_INT2: 25, onnxpb.TensorProto_UINT2: 25, onnxpb.TensorProto_INT4: 21, onnxpb.TensorProto_UINT4: 21, onnxpb.TensorProto_INT16: 21,
	}
)

// checker collects what is wrong with a model.
type checker struct {
	opset    int64
	needed   int64           // the highest set that something in the model asks for
	defined  map[string]bool // names of all graphs, which must not be given twice
	read     map[string]bool
	made     [][]string // what nodes give out and constants; of each something must be read
	problems []string
}

func problems(m *Model) []string {
	c := checker{opset: m.Opset, needed: opsetBase, defined: map[string]bool{}, read: map[string]bool{}}
	if ir := m.proto.IrVersion; len(m.proto.OpsetImport) != 1 || m.proto.OpsetImport[0].Version != m.Opset || ir != map[int64]int64{17: 8, 21: 10, 25: 13}[m.Opset] {
		c.report("IR version %d, operator sets %v, told %d", ir, m.proto.OpsetImport, m.Opset)
	}
	for _, t := range m.proto.Graph.Initializer {
		kind := onnxpb.TensorProto_DataType(t.DataType)
		elements := 1
		for _, dim := range t.Dims {
			elements *= int(dim)
		}
		if want := (elements*elementBits[kind] + 7) / 8; want != len(t.RawData) || elementBits[kind] == 0 {
			c.report("initializer %q of %v %v has %d bytes, want %d", t.Name, kind, t.Dims, len(t.RawData), want)
		}
		c.needed = max(c.needed, elementSince[kind])
		c.define(t.Name)
		c.made = append(c.made, []string{t.Name})
	}
	c.graph(m.proto.Graph, nil)
	if c.needed != c.opset {
		c.report("opset %d, and %d has all that is used", c.opset, c.needed)
	}
	for _, names := range c.made {
		if !slices.ContainsFunc(names, func(name string) bool { return c.read[name] }) {
			c.report("nothing reads %q", names)
		}
	}
	return c.problems
}

func (c *checker) report(format string, values ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, values...))
}

func (c *checker) define(name string) {
	if c.defined[name] || name == "" {
		c.report("the name %q is given twice, or nothing", name)
	}
	c.defined[name] = true
}

// graph checks a graph that sees the names of those around it.
func (c *checker) graph(g *onnxpb.GraphProto, around map[string]bool) {
	known := maps.Clone(around)
	if known == nil {
		known = map[string]bool{}
	}
	for _, t := range g.Initializer {
		known[t.Name] = true
	}
	for _, in := range g.Input {
		c.define(in.Name)
		known[in.Name] = true
		if in.Type.GetTensorType().GetElemType() == 0 || in.Type.GetTensorType().Shape == nil {
			c.report("input %q has no type", in.Name)
		}
	}
	for _, n := range g.Node {
		if from, ok := since[n.OpType]; !ok || from > opsetBase {
			c.report("node %q is a %q, which opset %d does not have", n.Name, n.OpType, opsetBase)
		}
		for _, in := range n.Input {
			if in == "" {
				continue // left out
			}
			if !known[in] {
				c.report("node %q reads %q, which is not defined before it", n.Name, in)
			}
			c.read[in] = true
		}
		if n.Name == "" || len(n.Output) == 0 {
			c.report("a %s has no name or no output", n.OpType)
		}
		for _, a := range n.Attribute {
			c.attribute(n, a, known)
		}
		c.made = append(c.made, n.Output)
		for _, out := range n.Output {
			if out != "" {
				c.define(out)
				known[out] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, out := range g.Output {
		if !known[out.Name] || seen[out.Name] {
			c.report("output %q is given twice, or made by no node", out.Name)
		}
		seen[out.Name], c.read[out.Name] = true, true
	}
}

func (c *checker) attribute(n *onnxpb.NodeProto, a *onnxpb.AttributeProto, known map[string]bool) {
	want := map[onnxpb.AttributeProto_AttributeType]bool{
		onnxpb.AttributeProto_INT:   len(a.S) == 0 && a.G == nil && len(a.Ints) == 0 && a.F == 0,
		onnxpb.AttributeProto_FLOAT: a.F != 0, onnxpb.AttributeProto_STRING: len(a.S) > 0,
		onnxpb.AttributeProto_INTS: len(a.Ints) > 0, onnxpb.AttributeProto_GRAPH: a.G != nil,
	}
	if !want[a.Type] {
		c.report("node %q: the attribute %q of type %v has no value of it", n.Name, a.Name, a.Type)
	}
	if a.G == nil {
		return
	}
	c.graph(a.G, known)
	// A Scan takes states and then sequences, and gives out as many states.
	scanned := 0
	for _, other := range n.Attribute {
		if other.Name == "num_scan_inputs" {
			scanned = int(other.I)
		}
	}
	if scanned < 1 || len(a.G.Input) != len(n.Input) || len(a.G.Output) != len(n.Output) || len(n.Input)-scanned > len(n.Output) {
		c.report("node %q: %d inputs, %d of them scanned, and %d outputs for a body of %d and %d", n.Name, len(n.Input), scanned, len(n.Output), len(a.G.Input), len(a.G.Output))
	}
}

// What the recurrences of programs become is decided by their equations.
func TestRecurrences(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"gru-binary-rows": {"GRU"}, "gru-layer-norm": {"Scan"}, "two-layers": {"Scan", "Scan"}, "lstm-float": {"Scan"},
		"bidirectional": {"Scan", "Scan"}, "attention": {"Scan", "Scan", "Scan", "Scan"},
	}
	for _, p := range sample.Programs() {
		m, err := Compile(p.Network, p.Weights, Options{Weights: Packed})
		if err != nil {
			t.Fatal(err)
		}
		if recurrences, ok := want[p.Name]; ok {
			if diff := cmp.Diff(recurrences, m.Recurrences); diff != "" {
				t.Errorf("%s (-want +got):\n%s", p.Name, diff)
			}
		}
	}
}

// TestAlmostAnLSTM changes one thing at a time in an LSTM, after which it is none.
func TestAlmostAnLSTM(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(g *stepgraph.Graph){
		"":                                   func(*stepgraph.Graph) {},
		"the input gate's tanh is a sigmoid": func(g *stepgraph.Graph) { node(g, "g").Op = stepgraph.Sigmoid },
		"the output gate reads the cell":     func(g *stepgraph.Graph) { node(g, "o").Inputs = []string{"c"} },
		"f reads twice":                      func(g *stepgraph.Graph) { node(g, "f∘c").Inputs = []string{"c", "c"} },
		"the tables have two rows": func(g *stepgraph.Graph) {
			shift := &node(g, "shifted").Shift
			*shift = stepgraph.Table{Rows: 2, Values: append(slices.Clone(shift.Values), shift.Values...)}
		},
		"the cell is read outside":      func(g *stepgraph.Graph) { g.Output = "c'" },
		"the hidden state is read late": func(g *stepgraph.Graph) { node(g, "out").Inputs = []string{"h"} },
	} {
		n, weights := smallLSTM(t)
		change(&n.Stages[0].Graph)
		m, err := Compile(n, weights, Options{Weights: Float32})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := "Scan"
		if name == "" {
			want = "LSTM"
		}
		if !slices.Equal(m.Recurrences, []string{want}) {
			t.Errorf("%q became %v, want %s", name, m.Recurrences, want)
		}
		for _, problem := range problems(m) {
			t.Errorf("%q: %s", name, problem)
		}
	}
}

func node(g *stepgraph.Graph, name string) *stepgraph.Node {
	return &g.Nodes[slices.IndexFunc(g.Nodes, func(n stepgraph.Node) bool { return n.Name == name })]
}

// smallLSTM has 2 units, 3 features and biases; its output is the hidden state.
func smallLSTM(t *testing.T) (network.Network, map[string]packed.Matrix) {
	t.Helper()
	matrix := func(rows, cols int) packed.Matrix {
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(math.Sin(float64(i)))
		}
		m, err := packed.FromValues(values, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 3}}, Output: "out",
		States: []stepgraph.State{{Name: "c", Size: 2, Init: []float32{1, 2}, Next: "c'"}, {Name: "h", Size: 2, Init: []float32{3, 4}, Next: "h'"}},
	}
	add := func(name string, op stepgraph.Op, size int, inputs ...string) *stepgraph.Node {
		g.Nodes = append(g.Nodes, stepgraph.Node{Name: name, Op: op, Size: size, Inputs: inputs})
		return &g.Nodes[len(g.Nodes)-1]
	}
	add("Wx·x", stepgraph.MatVec, 8, "x").Weight = "Wx"
	add("Wh·h", stepgraph.MatVec, 8, "h").Weight = "Wh"
	add("sum", stepgraph.Add, 8, "Wx·x", "Wh·h")
	add("shifted", stepgraph.ScaleShift, 8, "sum").Shift = stepgraph.Table{Rows: 1, Values: []float32{1, 2, 3, 4, 5, 6, 7, 8}}
	for k, gate := range []string{"f", "o", "i", "g"} {
		add("a."+gate, stepgraph.Slice, 2, "shifted").Offset = 2 * k
		op := stepgraph.Sigmoid
		if gate == "g" {
			op = stepgraph.Tanh
		}
		add(gate, op, 2, "a."+gate)
	}
	add("i∘g", stepgraph.Mul, 2, "g", "i")
	add("f∘c", stepgraph.Mul, 2, "f", "c")
	add("c'", stepgraph.Add, 2, "i∘g", "f∘c")
	add("tanh c'", stepgraph.Tanh, 2, "c'")
	add("h'", stepgraph.Mul, 2, "tanh c'", "o")
	add("out", stepgraph.ScaleShift, 2, "h'").Scale = stepgraph.Table{Rows: 1, Values: []float32{2, 3}}
	return network.Scanned("lstm", g), map[string]packed.Matrix{"Wx": matrix(8, 3), "Wh": matrix(8, 2)}
}

// Codes that do not fit are told, with what to do.
func TestCodesThatDoNotFit(t *testing.T) {
	t.Parallel()
	n, weights := smallLSTM(t)
	codes := make([]uint16, 8*2)
	codes[3] = 511
	levels := make([]float32, 512)
	for i := range levels {
		levels[i] = float32(i - 256)
	}
	wide, err := packed.Pack(8, 2, packed.Codes{Bits: 9, Codes: codes, Levels: levels, Scales: []float32{0.01}})
	if err != nil {
		t.Fatal(err)
	}
	weights["Wh"] = wide
	_, err = Compile(n, weights, Options{Weights: Int8})
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, `"Wh"`) || !strings.Contains(problem.Sentence, "--weights packed or float32") {
		t.Errorf("9-bit codes as int8: %v, want a Problem that names the weight and the other ways", err)
	}
	if m, err := Compile(n, weights, Options{Weights: Packed}); err != nil || m.Opset != opsetInt4 {
		t.Errorf("9-bit codes packed: %v, want INT16 of opset %d", err, opsetInt4)
	}
}

// What this package does not know it names, with the stage.
func TestInexpressible(t *testing.T) {
	t.Parallel()
	n, weights := smallLSTM(t)
	n.Stages[0].Graph.Nodes[0].Op = "median"
	err := newCompiler(n, weights, Options{Weights: Float32}).program()
	problem, ok := errors.AsType[*plugins.Problem](err)
	if want := `the stage "scan" cannot be written as ONNX, for there is nothing for the operation "median" of the node "Wx·x"`; !ok || !strings.Contains(problem.Sentence, want) {
		t.Errorf("%v, want a Problem with %q", err, want)
	}
	n.Stages[0].Op = "median"
	if err := newCompiler(n, weights, Options{}).program(); err == nil || !strings.Contains(err.Error(), `nothing for the operation "median"`) {
		t.Errorf("%v, want an error that names the operation of the stage", err)
	}
}
