// Package sample makes the step graph of an LSTM with random weights, for tests and
// benchmarks of backends. Package network/sample makes whole programs.
package sample

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// LSTM says which graph to make: one layer with batch normalisation at the three places of the
// paper, and separate statistics for each of Steps time steps.
type LSTM struct {
	Units   int
	Inputs  int  // size of the vocabulary, or features of a step if Dense is set
	Dense   bool // the input is a dense vector instead of a token
	Outputs int  // classes; 0 leaves the output layer out
	Steps   int  // rows of every normalisation table
	Format  Format
	Bits    int // of the hidden states, which are rounded to so many; 0 does not round
	Seed    uint64
}

// Format says how recurrent weights are stored: the levels of each plane of codes in units of
// the plane's scale, or full precision if there are no planes. The scale of a plane is half that
// of the plane before it.
type Format struct {
	Planes [][]float32
	Rows   bool // every row has its own scale; otherwise the matrix has one
}

// Binary and Ternary are the formats of the paper. The others come from other quantizers:
// multi-bit weights α₁b₁ + α₂b₂, ternary weights with two scales, 4-bit whole numbers times a
// step, and eight levels without a rule.
var (
	Binary     = Format{Planes: [][]float32{{-1, 1}}}
	Ternary    = Format{Planes: [][]float32{{-1, 0, 1}}}
	TwoPlanes  = Format{Planes: [][]float32{{-1, 1}, {-1, 1}}}
	Asymmetric = Format{Planes: [][]float32{{-0.75, 0, 1.25}}}
	Uniform    = Format{Planes: [][]float32{{-2, -1.75, -1.5, -1.25, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75}}}
	EightFree  = Format{Planes: [][]float32{{-1.5, -1, -0.25, -0.1, 0.2, 0.4, 0.9, 2}}}
)

// PerRow returns the format with a scale for every row.
func PerRow(f Format) Format {
	f.Rows = true
	return f
}

// Pack returns a rows×cols matrix of random codes, uniform over the levels. It asks scale for
// the scales of a plane, given the plane's number: once, or once for every row if f.Rows.
func (f Format) Pack(rng *rand.Rand, rows, cols int, scale func(plane int) float32) packed.Matrix {
	var planes []packed.Codes
	for i, levels := range f.Planes {
		p := packed.Codes{Bits: max(1, bits.Len(uint(len(levels)-1))), Levels: levels, Codes: make([]uint16, rows*cols)}
		for k := range p.Codes {
			p.Codes[k] = uint16(rng.IntN(len(levels)))
		}
		scales := 1
		if f.Rows {
			scales = rows
		}
		for range scales {
			p.Scales = append(p.Scales, scale(i))
		}
		planes = append(planes, p)
	}
	m, err := packed.Pack(rows, cols, planes...)
	if err != nil {
		panic(fmt.Sprintf("sample: %v", err))
	}
	return m
}

// Build returns the graph and its weights by name. The output is the logits, or h if there is no
// output layer. Equal configurations give equal graphs and weights.
//
//	a = ScaleShift(Wh·h) + Scale(Wx·x)
//	c = σ(a_f)∘c + σ(a_i)∘tanh(a_g);  h = Round(σ(a_o)∘tanh(ScaleShift(c)))
//	logits = Shift(W·h)
func (config LSTM) Build() (stepgraph.Graph, map[string]packed.Matrix) {
	b := builder{LSTM: config, rng: rand.New(rand.NewPCG(config.Seed, 0x5a3b1e))}
	units, gates := config.Units, 4*config.Units
	// α is that of the paper, ½·√(6/(fan_in + 4·units)). A scale near 1/√(fan_in)/α gives
	// pre-activations of unit variance, as batch normalisation does.
	alpha := func(fanIn int) float32 { return float32(math.Sqrt(6/float64(fanIn+gates)) / 2) }
	unit := func(fanIn int) float32 { return 1 / (alpha(fanIn) * float32(math.Sqrt(float64(fanIn)))) }
	weights := map[string]packed.Matrix{
		"layer0.Wh": b.recurrent(gates, units, alpha(units)),
		"layer0.Wx": b.recurrent(gates, config.Inputs, alpha(config.Inputs)),
	}
	input := stepgraph.Lookup
	inputScale := 1 / alpha(config.Inputs)
	if config.Dense {
		input, inputScale = stepgraph.MatVec, unit(config.Inputs)
	}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: !config.Dense, Size: config.Inputs}},
		States: []stepgraph.State{
			{Name: "h", Size: units, Init: b.uniform(units, 0.5), Next: "h'"},
			{Name: "c", Size: units, Init: b.uniform(units, 0.5), Next: "c'"},
		},
		Nodes: []stepgraph.Node{
			{Name: "Wh·h", Op: stepgraph.MatVec, Inputs: []string{"h"}, Size: gates, Weight: "layer0.Wh", Recurrent: true},
			{Name: "BN(Wh·h)", Op: stepgraph.ScaleShift, Inputs: []string{"Wh·h"}, Size: gates, Scale: b.scales(gates, unit(units)), Shift: b.shifts(gates)},
			{Name: "Wx·x", Op: input, Inputs: []string{"x"}, Size: gates, Weight: "layer0.Wx", Recurrent: true},
			{Name: "BN(Wx·x)", Op: stepgraph.ScaleShift, Inputs: []string{"Wx·x"}, Size: gates, Scale: b.scales(gates, inputScale)},
			{Name: "a", Op: stepgraph.Add, Inputs: []string{"BN(Wh·h)", "BN(Wx·x)"}, Size: gates},
			{Name: "a.g", Op: stepgraph.Slice, Inputs: []string{"a"}, Size: units},
			{Name: "a.f", Op: stepgraph.Slice, Inputs: []string{"a"}, Size: units, Offset: units},
			{Name: "a.i", Op: stepgraph.Slice, Inputs: []string{"a"}, Size: units, Offset: 2 * units},
			{Name: "a.o", Op: stepgraph.Slice, Inputs: []string{"a"}, Size: units, Offset: 3 * units},
			{Name: "g", Op: stepgraph.Tanh, Inputs: []string{"a.g"}, Size: units},
			{Name: "f", Op: stepgraph.Sigmoid, Inputs: []string{"a.f"}, Size: units},
			{Name: "i", Op: stepgraph.Sigmoid, Inputs: []string{"a.i"}, Size: units},
			{Name: "o", Op: stepgraph.Sigmoid, Inputs: []string{"a.o"}, Size: units},
			{Name: "f∘c", Op: stepgraph.Mul, Inputs: []string{"f", "c"}, Size: units},
			{Name: "i∘g", Op: stepgraph.Mul, Inputs: []string{"i", "g"}, Size: units},
			{Name: "c'", Op: stepgraph.Add, Inputs: []string{"f∘c", "i∘g"}, Size: units},
			{Name: "BN(c')", Op: stepgraph.ScaleShift, Inputs: []string{"c'"}, Size: units, Scale: b.scales(units, 1), Shift: b.shifts(units)},
			{Name: "tanh c'", Op: stepgraph.Tanh, Inputs: []string{"BN(c')"}, Size: units},
			{Name: "h'", Op: stepgraph.Mul, Inputs: []string{"o", "tanh c'"}, Size: units},
		},
		Output: "h'",
	}
	if config.Bits > 0 {
		for i, v := range g.States[0].Init {
			g.States[0].Init[i] = float32(stepgraph.Rounded(float64(v), config.Bits))
		}
		exact := &g.Nodes[len(g.Nodes)-1]
		exact.Name = "o∘tanh c'"
		g.Nodes = append(g.Nodes, stepgraph.Node{Name: "h'", Op: stepgraph.Round, Inputs: []string{exact.Name}, Size: units, Bits: config.Bits})
	}
	if config.Outputs > 0 {
		weights["softmax.W"] = b.full(config.Outputs, units)
		g.Nodes = append(g.Nodes,
			stepgraph.Node{Name: "W·h'", Op: stepgraph.MatVec, Inputs: []string{"h'"}, Size: config.Outputs, Weight: "softmax.W"},
			stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"W·h'"}, Size: config.Outputs, Shift: stepgraph.Table{Rows: 1, Values: b.uniform(config.Outputs, 0.1)}},
		)
		g.Output = "logits"
	}
	return g, weights
}

type builder struct {
	LSTM
	rng *rand.Rand
}

// recurrent makes a weight matrix in the network's format, with scales around alpha.
func (b *builder) recurrent(rows, cols int, alpha float32) packed.Matrix {
	if len(b.Format.Planes) == 0 {
		return b.full(rows, cols)
	}
	return b.Format.Pack(b.rng, rows, cols, func(plane int) float32 {
		scale := alpha / float32(int(1)<<plane)
		if b.Format.Rows {
			alpha *= 1 + 0.1*(b.rng.Float32()-0.5)
		}
		return scale
	})
}

// full makes a full-precision matrix whose products have the variance of their input.
func (b *builder) full(rows, cols int) packed.Matrix {
	m, err := packed.FromValues(b.uniform(rows*cols, float32(math.Sqrt(3/float64(cols)))), rows, cols)
	if err != nil {
		panic(fmt.Sprintf("sample: %v", err))
	}
	return m
}

// scales makes a normalisation table of random values around the given one.
func (b *builder) scales(size int, around float32) stepgraph.Table {
	table := b.shifts(size)
	for i, v := range table.Values {
		table.Values[i] = around * (1 + v)
	}
	return table
}

// shifts makes a normalisation table of random values around 0.
func (b *builder) shifts(size int) stepgraph.Table {
	return stepgraph.Table{Rows: b.Steps, Values: b.uniform(b.Steps*size, 0.2)}
}

// uniform draws n values from [−bound, bound).
func (b *builder) uniform(n int, bound float32) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = bound * (2*b.rng.Float32() - 1)
	}
	return values
}
