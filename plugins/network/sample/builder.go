package sample

import (
	"fmt"
	"math"
	"math/rand/v2"

	graphs "bittern/internal/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

var (
	fourLevels = graphs.Format{Planes: [][]float32{{-1.5, -0.4, 0.3, 1.2}}}
	float      = graphs.Format{}
)

// lstm is a batch-normalised LSTM as package internal/sample makes it.
type lstm struct {
	units, inputs int
	dense         bool
	outputs       int // classes; 0 leaves the output layer out
	rows          int // of tables
	format        graphs.Format
	bits          int // of the hidden states; 0 leaves them as they are
	seed          uint64
}

func (c lstm) build() (stepgraph.Graph, map[string]packed.Matrix) {
	return graphs.LSTM{
		Units: c.units, Inputs: c.inputs, Dense: c.dense, Outputs: c.outputs, Steps: c.rows,
		Format: c.format, Bits: c.bits, Seed: c.seed,
	}.Build()
}

// builder makes the graphs of one program.
type builder struct {
	rng     *rand.Rand
	weights map[string]packed.Matrix
}

func newBuilder(seed uint64) *builder {
	return &builder{rng: rand.New(rand.NewPCG(seed, 0xb177e)), weights: map[string]packed.Matrix{}}
}

// lstm builds the configuration under a name, which its weights get as prefix.
func (b *builder) lstm(name string, c lstm) stepgraph.Graph {
	g, weights := c.build()
	for weight, m := range weights {
		b.weights[name+"."+weight] = m
	}
	for i := range g.Nodes {
		if g.Nodes[i].Weight != "" {
			g.Nodes[i].Weight = name + "." + g.Nodes[i].Weight
		}
	}
	return g
}

// stacked puts a layer with one input above another graph.
func stacked(below, above stepgraph.Graph) stepgraph.Graph {
	renamed := func(name string) string {
		if name == above.Inputs[0].Name {
			return below.Output
		}
		return "upper " + name
	}
	for _, s := range above.States {
		s.Name, s.Next = renamed(s.Name), renamed(s.Next)
		below.States = append(below.States, s)
	}
	for _, n := range above.Nodes {
		inputs := make([]string, len(n.Inputs))
		for i, name := range n.Inputs {
			inputs[i] = renamed(name)
		}
		n.Name, n.Inputs = renamed(n.Name), inputs
		below.Nodes = append(below.Nodes, n)
	}
	below.Output = renamed(above.Output)
	return below
}

// gru is one layer; its reset gate is applied after the product. layer normalises
// each gate's part of a product over its features; rows are those of its tables.
type gru struct {
	units, rows int
	layer       bool
	format      graphs.Format
}

// gru adds a layer above a value of the graph, and makes its state the output:
//
//	p = N(Wh·h);  q = N(Wx·x);  r = σ(p_r + q_r);  z = σ(p_z + q_z)
//	n = tanh(q_n + r∘p_n);  h' = (1−z)∘n + z∘h
func (b *builder) gru(g *stepgraph.Graph, name, from string, inputs int, c gru) {
	d, all := c.units, 3*c.units
	at := func(part string) string { return name + "." + part }
	add := func(part string, op stepgraph.Op, size int, in ...string) string {
		g.Nodes = append(g.Nodes, stepgraph.Node{Name: at(part), Op: op, Size: size, Inputs: in})
		return at(part)
	}
	last := func() *stepgraph.Node { return &g.Nodes[len(g.Nodes)-1] }
	part := func(of, gate string, k int) string {
		add(of+"."+gate, stepgraph.Slice, d, at(of))
		last().Offset = k * d
		return at(of + "." + gate)
	}
	product := func(normal, plain, weight, in string, columns int) {
		add(plain, stepgraph.MatVec, all, in)
		if input, ok := g.Input(in); ok && input.Token {
			last().Op = stepgraph.Lookup
		}
		last().Weight, last().Recurrent = at(weight), true
		b.recurrent(at(weight), all, columns, c.format)
		x := at(plain)
		if c.layer {
			for k, gate := range []string{"r", "z", "n"} {
				one := add("norm "+plain+"."+gate, stepgraph.Normalize, d, part(plain, gate, k))
				last().Epsilon = 1e-5
				if k == 0 {
					x = one
				} else {
					x = add(fmt.Sprintf("norm %s 0–%d", plain, k), stepgraph.Concat, (k+1)*d, x, one)
				}
			}
		}
		add(normal, stepgraph.ScaleShift, all, x)
		last().Scale, last().Shift = b.table(c.rows, all, 1), b.table(c.rows, all, 0)
	}
	h := at("h")
	g.States = append(g.States, stepgraph.State{Name: h, Size: d, Init: b.uniform(d, 0.5), Next: at("h'")})
	product("p", "Wh·h", "Wh", h, d)
	product("q", "Wx·x", "Wx", from, inputs)
	r := add("r", stepgraph.Sigmoid, d, add("a.r", stepgraph.Add, d, part("p", "r", 0), part("q", "r", 0)))
	z := add("z", stepgraph.Sigmoid, d, add("a.z", stepgraph.Add, d, part("p", "z", 1), part("q", "z", 1)))
	inner := add("r∘p.n", stepgraph.Mul, d, r, part("p", "n", 2))
	n := add("n", stepgraph.Tanh, d, add("a.n", stepgraph.Add, d, part("q", "n", 2), inner))
	rest := add("1−z", stepgraph.ScaleShift, d, z)
	last().Scale, last().Shift = constant(d, -1), constant(d, 1)
	g.Output = add("h'", stepgraph.Add, d, add("(1−z)∘n", stepgraph.Mul, d, rest, n), add("z∘h", stepgraph.Mul, d, z, h))
}

// embedding adds the look-up of a token, full precision as models keep it.
func (b *builder) embedding(g *stepgraph.Graph, token string, size int) string {
	in, _ := g.Input(token)
	g.Nodes = append(g.Nodes, stepgraph.Node{Name: "embedding", Op: stepgraph.Lookup, Inputs: []string{token}, Size: size, Weight: "embedding"})
	if _, made := b.weights["embedding"]; !made { // scans share one
		b.full("embedding", size, in.Size, 1)
	}
	return "embedding"
}

// logits adds the output layer above the graph's output.
func (b *builder) logits(g *stepgraph.Graph, inputs, classes int) {
	b.full("softmax.W", classes, inputs, math.Sqrt(6/float64(inputs)))
	g.Nodes = append(g.Nodes,
		stepgraph.Node{Name: "W·h", Op: stepgraph.MatVec, Inputs: []string{g.Output}, Size: classes, Weight: "softmax.W"},
		stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"W·h"}, Size: classes, Shift: b.table(1, classes, 0)})
	g.Output = "logits"
}

// recurrent makes a weight matrix whose products of values around 1 are around 1.
func (b *builder) recurrent(name string, rows, cols int, f graphs.Format) {
	alpha := float32(math.Sqrt(1 / float64(cols)))
	if len(f.Planes) == 0 {
		b.full(name, rows, cols, math.Sqrt(3/float64(cols)))
		return
	}
	b.weights[name] = f.Pack(b.rng, rows, cols, func(plane int) float32 {
		scale := alpha / float32(int(1)<<plane)
		if f.Rows {
			scale *= 0.5 + b.rng.Float32()
		}
		return scale
	})
}

func (b *builder) full(name string, rows, cols int, bound float64) {
	m, err := packed.FromValues(b.uniform(rows*cols, float32(bound)), rows, cols)
	if err != nil {
		panic(fmt.Sprintf("sample: %v", err))
	}
	b.weights[name] = m
}

// table has values around the given one.
func (b *builder) table(rows, size int, around float32) stepgraph.Table {
	t := stepgraph.Table{Rows: rows, Values: b.uniform(rows*size, 0.3)}
	for i := range t.Values {
		t.Values[i] += around
	}
	return t
}

func constant(size int, value float32) stepgraph.Table {
	t := stepgraph.Table{Rows: 1, Values: make([]float32, size)}
	for i := range t.Values {
		t.Values[i] = value
	}
	return t
}

// uniform is n values in [−bound, bound).
func (b *builder) uniform(n int, bound float32) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = bound * (2*b.rng.Float32() - 1)
	}
	return values
}
