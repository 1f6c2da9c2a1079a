package datapath

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// compiled is a program with its only graph.
type compiled struct {
	*Program
	*Graph
}

func compile(t testing.TB, g stepgraph.Graph, weights map[string]packed.Matrix) compiled {
	t.Helper()
	p, err := Compile(network.Scanned("test", g), weights, 3)
	if err != nil {
		t.Fatal(err)
	}
	return compiled{p, p.Graphs[0]}
}

// run executes sequences of tokens, one after the other, and returns the outputs in
// the same order.
func run(t testing.TB, p compiled, tokens []int32, sequences int) []float32 {
	t.Helper()
	steps := len(tokens) / sequences
	batch := network.Batch{
		Sequences: sequences, Steps: map[string]int{"sequence": steps},
		Int32: map[string][]int32{"x": make([]int32, len(tokens))}, Targets: make([]int32, len(tokens)),
	}
	for i, token := range tokens {
		batch.Int32["x"][i%steps*sequences+i/steps] = token
	}
	outputs := make([]float32, len(tokens)*p.output.size)
	if _, err := p.NewExecution().Execute(t.Context(), backend.Execute{Batch: batch, Outputs: outputs}); err != nil {
		t.Fatal(err)
	}
	var ordered []float32
	for i := range tokens {
		at := (i%steps*sequences + i/steps) * p.output.size
		ordered = append(ordered, outputs[at:at+p.output.size]...)
	}
	return ordered
}

func randomTokens(n, vocabulary int, seed uint64) []int32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(rng.IntN(vocabulary))
	}
	return tokens
}

// difference is the largest and the root-mean-square difference of outputs.
func difference(got []float32, want []float64) (largest, rms float64) {
	for i, g := range got {
		d := math.Abs(float64(g) - want[i])
		largest, rms = max(largest, d), rms+d*d/float64(len(got))
	}
	return largest, math.Sqrt(rms)
}

// A whole LSTM stays close to the float64 reference. The bounds are for logits of
// about unit variance: activations have a step of 2⁻⁸, and each time step adds
// about four roundings to the cell.
func TestLSTMIsCloseToTheReference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config sample.LSTM
		width  Width
	}{
		{"binary", sample.LSTM{Units: 65, Inputs: 31, Outputs: 33, Steps: 7, Format: sample.Binary}, Binary},
		{"ternary per row", sample.LSTM{Units: 64, Inputs: 7, Outputs: 5, Steps: 3, Format: sample.PerRow(sample.Ternary)}, Ternary},
		{"three bits", sample.LSTM{Units: 33, Inputs: 13, Outputs: 9, Steps: 1, Format: sample.Format{Planes: [][]float32{{-2, -1, -0.25, 0.5, 1.5}}}}, TwelveBit},
		{"full precision", sample.LSTM{Units: 300, Inputs: 21, Outputs: 87, Steps: 2}, TwelveBit},
		{"one unit", sample.LSTM{Units: 1, Inputs: 1, Outputs: 1, Steps: 1, Format: sample.Binary}, Binary},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.config.Seed = 11
			g, weights := c.config.Build()
			p := compile(t, g, weights)
			if p.Recurrent != c.width {
				t.Errorf("runs on the %v column, want %v", p.Recurrent, c.width)
			}
			reference, err := stepgraph.NewReference(g, weights)
			if err != nil {
				t.Fatal(err)
			}
			tokens := randomTokens(40, c.config.Inputs, 3)
			want, err := reference.Tokens(tokens)
			if err != nil {
				t.Fatal(err)
			}
			largest, rms := difference(run(t, p, tokens, 1), want)
			t.Logf("logits differ by at most %.4f, %.4f rms", largest, rms)
			if largest > 0.01 || rms > 0.003 {
				t.Errorf("logits differ by %.4f at most, %.4f rms; want 0.01 and 0.003", largest, rms)
			}
			if rms == 0 {
				t.Error("logits equal the reference: nothing was rounded")
			}
		})
	}
}

func TestDenseInput(t *testing.T) {
	t.Parallel()
	config := sample.LSTM{Units: 17, Inputs: 5, Dense: true, Outputs: 3, Steps: 2, Format: sample.Ternary, Seed: 4}
	g, weights := config.Build()
	p := compile(t, g, weights)
	rng := rand.New(rand.NewPCG(5, 5))
	features := make([]float32, 20*5)
	for i := range features {
		features[i] = rng.Float32()
	}
	reference, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reference.Dense(features)
	if err != nil {
		t.Fatal(err)
	}
	if largest, _ := difference(dense(t, p, features...), want); largest > 0.01 {
		t.Errorf("logits differ by %.4f, want at most 0.01", largest)
	}
}

// Sequences must not see each other, however many run side by side.
func TestSequencesAreIndependent(t *testing.T) {
	t.Parallel()
	config := sample.LSTM{Units: 19, Inputs: 11, Outputs: 11, Steps: 3, Format: sample.Binary, Seed: 8}
	g, weights := config.Build()
	p := compile(t, g, weights)
	const sequences, length = 77, 6
	tokens := randomTokens(sequences*length, 11, 9)
	all := run(t, p, tokens, sequences)
	for s := range sequences {
		alone := run(t, p, tokens[s*length:(s+1)*length], 1)
		for i, want := range alone {
			if got := all[s*length*11+i]; got != want {
				t.Fatalf("sequence %d, output %d: %v among others, %v alone", s, i, got, want)
			}
		}
	}
}

// graph wraps nodes that compute from the dense input x, a vector of size
// elements.
func graph(size int, output string, nodes ...stepgraph.Node) stepgraph.Graph {
	return stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Size: size}}, Nodes: nodes, Output: output}
}

func dense(t *testing.T, p compiled, x ...float32) []float32 {
	t.Helper()
	steps := len(x) / p.inputs[0].size
	outputs := make([]float32, steps*p.output.size)
	_, err := p.NewExecution().Execute(t.Context(), backend.Execute{Outputs: outputs, Batch: network.Batch{
		Sequences: 1, Steps: map[string]int{"sequence": steps},
		Float32: map[string][]float32{"x": x}, Targets: make([]int32, steps),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func expect(t *testing.T, got []float32, want ...float32) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The input has the format Q3.8: steps of 1/256 from −8 to 8 − 1/256.
func TestInputsRoundToEvenAndSaturate(t *testing.T) {
	t.Parallel()
	p := compile(t, graph(1, "y", stepgraph.Node{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: 1}), nil)
	expect(t, dense(t, p, 0.5/256, 1.5/256, -0.5/256, -2.5/256, 0.51/256, 9, -9),
		0, 2.0/256, 0, -2.0/256, 1.0/256, 8-1.0/256, -8)
}

func TestMultiplicationSaturates(t *testing.T) {
	t.Parallel()
	p := compile(t, graph(1, "y", stepgraph.Node{Name: "y", Op: stepgraph.Mul, Inputs: []string{"x", "x"}, Size: 1}), nil)
	// 17/256 squared is 289/65536 = 1.13/256; 24/256 squared is 2.25/256.
	expect(t, dense(t, p, 2, -2, 3, -3, 17.0/256, 24.0/256), 4, 4, 8-1.0/256, 8-1.0/256, 1.0/256, 2.0/256)
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   stepgraph.Op
		want []float32
	}{
		// Q0.11, whose largest number is 2047/2048.
		{stepgraph.Sigmoid, []float32{1024.0 / 2048, 2047.0 / 2048, 1.0 / 2048, 1497.0 / 2048}},
		{stepgraph.Tanh, []float32{0, 2047.0 / 2048, -2048.0 / 2048, 1560.0 / 2048}},
	} {
		p := compile(t, graph(1, "y", stepgraph.Node{Name: "y", Op: c.op, Inputs: []string{"x"}, Size: 1}), nil)
		expect(t, dense(t, p, 0, 8, -8, 1), c.want...)
	}
}

// Levels are those of the exact rounding of the 12-bit input, as Q0.11 has them: the
// thirds are 682.67/2048. Both levels of one bit are exact, in a state too.
func TestRounding(t *testing.T) {
	t.Parallel()
	rounded := func(bits int) stepgraph.Graph {
		g := graph(1, "y", stepgraph.Node{Name: "y", Op: stepgraph.Round, Inputs: []string{"x"}, Size: 1, Bits: bits})
		g.States = []stepgraph.State{{Name: "before", Size: 1, Init: []float32{1}, Next: "y"}}
		return g
	}
	x := []float32{0, -1.0 / 256, 170.0 / 256, 171.0 / 256, -170.0 / 256, -171.0 / 256, 5, -5}
	const third, one = 683.0 / 2048, 2047.0 / 2048
	expect(t, dense(t, compile(t, rounded(2), nil), x...), third, -third, third, one, -third, -1, one, -1)
	expect(t, dense(t, compile(t, rounded(1), nil), x...), 1, -1, 1, 1, -1, -1, 1, -1)
	one1 := rounded(1)
	one1.Nodes = append(one1.Nodes, stepgraph.Node{Name: "z", Op: stepgraph.Slice, Inputs: []string{"before"}, Size: 1})
	one1.Output = "z"
	expect(t, dense(t, compile(t, one1, nil), x...), 1, 1, -1, 1, 1, -1, -1, 1)
	for bits := 1; bits <= stepgraph.MostBits; bits++ {
		p := compile(t, rounded(bits), nil)
		for i := -2048; i < 2048; i++ {
			v := float32(i) / 256
			got := dense(t, p, v)[0]
			want, off := stepgraph.Rounded(float64(v), bits), 1.0/4096
			if want == 1 {
				off *= 2
			}
			if bits == 1 {
				off = 0
			}
			if math.Abs(float64(got)-want) > off {
				t.Fatalf("%v rounded to %d bits is %v, want %v within %v", v, bits, got, want, off)
			}
		}
	}
}

// Sums after the recurrent part stay in accumulators of 12 fraction bits.
func TestOffsetsOfEveryTimeStep(t *testing.T) {
	t.Parallel()
	p := compile(t, graph(1, "y", stepgraph.Node{
		Name: "y", Op: stepgraph.ScaleShift, Inputs: []string{"x"}, Size: 1,
		Scale: stepgraph.Table{Rows: 2, Values: []float32{1.5, -100}},
		Shift: stepgraph.Table{Rows: 3, Values: []float32{1.0 / 4096, 3000, 0}},
	}), nil)
	// 3000 saturates to 2048 − 1/4096 before 100 is taken from it; the third step
	// has the second scale and the third offset, the fourth the last of both.
	expect(t, dense(t, p, 1, 1, 2, -2), 1.5+1.0/4096, 1948-1.0/4096, -200, 200)
}

func TestAlphaIsFoldedOrMultiplied(t *testing.T) {
	t.Parallel()
	w, err := packed.Pack(2, 2, packed.Codes{Bits: 1, Codes: []uint16{1, 0, 1, 1}, Levels: []float32{-1, 1}, Scales: []float32{0.25}})
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]packed.Matrix{"w": w}
	product := stepgraph.Node{Name: "Wx", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 2, Weight: "w", Recurrent: true}
	scaled := stepgraph.Node{Name: "y", Op: stepgraph.ScaleShift, Inputs: []string{"Wx"}, Size: 2, Scale: stepgraph.Table{Rows: 1, Values: []float32{2, 4}}}

	folded := compile(t, graph(2, "y", product, scaled), weights)
	expect(t, dense(t, folded, 3, 1), 1, 4)
	if n := len(folded.Work); n != 2 {
		t.Errorf("with a scale-shift there are %d operations, want 2: α is folded", n)
	}
	alone := compile(t, graph(2, "Wx", product), weights)
	expect(t, dense(t, alone, 3, 1), 0.5, 1)
	if last := alone.Work[len(alone.Work)-1]; !last.Alpha || last.TableBits != scaleBits {
		t.Errorf("without one the last operation is %+v, want a multiplication by one α of %d bits", last, scaleBits)
	}
}

// A sum that no scale-shift reads enters an addition as an accumulator, in the
// recurrent part too: 5/4096 twice is 0.625 of an activation's step of 1/256. Rounded
// to activations first, both were 0.
func TestSumsWithoutAScaleAreAccumulators(t *testing.T) {
	t.Parallel()
	w, err := packed.Pack(1, 1, packed.Codes{Bits: 1, Codes: []uint16{1}, Levels: []float32{-1, 1}, Scales: []float32{5.0 / 4096}})
	if err != nil {
		t.Fatal(err)
	}
	g := graph(1, "s'",
		stepgraph.Node{Name: "Wx", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 1, Weight: "w", Recurrent: true},
		stepgraph.Node{Name: "2Wx", Op: stepgraph.Add, Inputs: []string{"Wx", "Wx"}, Size: 1},
		stepgraph.Node{Name: "s'", Op: stepgraph.Add, Inputs: []string{"s", "2Wx"}, Size: 1},
	)
	g.States = []stepgraph.State{{Name: "s", Size: 1, Init: []float32{0}, Next: "s'"}}
	p := compile(t, g, map[string]packed.Matrix{"w": w})
	if !p.Work[0].Recurrent || p.Work[1].Alpha != true {
		t.Fatalf("work is %+v, want a recurrent product and its multiplication by α", p.Work[:2])
	}
	expect(t, dense(t, p, 1, 1), 1.0/256, 2.0/256)
}

// A state whose next value is a slice of another one takes its value before the
// step.
func TestStatesMoveAtOnce(t *testing.T) {
	t.Parallel()
	g := graph(1, "ab",
		stepgraph.Node{Name: "a'", Op: stepgraph.Slice, Inputs: []string{"b"}, Size: 1},
		stepgraph.Node{Name: "b'", Op: stepgraph.Slice, Inputs: []string{"a"}, Size: 1},
		stepgraph.Node{Name: "ab", Op: stepgraph.Concat, Inputs: []string{"a", "b"}, Size: 2},
	)
	g.States = []stepgraph.State{
		{Name: "a", Size: 1, Init: []float32{0.25}, Next: "a'"},
		{Name: "b", Size: 1, Init: []float32{-2}, Next: "b'"},
	}
	p := compile(t, g, nil)
	expect(t, dense(t, p, 0, 0, 0), 0.25, -2, -2, 0.25, 0.25, -2)
}

func TestUnsupportedOperationsAreNamed(t *testing.T) {
	t.Parallel()
	node := func(op stepgraph.Op) network.Network {
		return network.Scanned("test", graph(2, "y", stepgraph.Node{Name: "y", Op: op, Inputs: []string{"x"}, Size: 2}))
	}
	stage := func(op network.Op) network.Network {
		n := node(stepgraph.Tanh)
		n.Stages = append(n.Stages, network.Stage{Name: "over steps", Op: op, Inputs: []string{"scan"}})
		return n
	}
	long := node(stepgraph.Normalize)
	long.Stages[0].Graph.Nodes[0].Size = 1<<15 + 1
	for says, n := range map[string]network.Network{
		`"normalize" of node "y" is over 32769 values`: long,
		`"glance" of node "y"`:                         node("glance"),
		`"glance" of stage "over steps"`:               stage("glance"),
	} {
		_, err := Compile(n, nil, 3)
		var unsupported *backend.ErrUnsupported
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want ErrUnsupported that says %q", err, says)
		}
	}
	n := node(stepgraph.Tanh)
	n.Stages[0].Graph.Nodes[0].Inputs = []string{"z"}
	if _, err := Compile(n, nil, 3); err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("a graph with an unknown input: error %v, want one that names it", err)
	}
}

func TestCancelledExecute(t *testing.T) {
	t.Parallel()
	g, weights := sample.LSTM{Units: 3, Inputs: 4, Outputs: 2, Steps: 1, Format: sample.Binary}.Build()
	p := compile(t, g, weights)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.NewExecution().Execute(cancelled, backend.Execute{Batch: network.Batch{
		Sequences: 1, Steps: map[string]int{"sequence": 1}, Int32: map[string][]int32{"x": {0}}, Targets: []int32{0},
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v, want %v", err, context.Canceled)
	}
}

func BenchmarkExecute(b *testing.B) {
	for _, c := range []struct {
		name   string
		format sample.Format
	}{{"binary", sample.Binary}, {"ternary", sample.Ternary}, {"12-bit", sample.Format{}}} {
		b.Run(c.name+"/512", func(b *testing.B) {
			g, weights := sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 100, Format: c.format}.Build()
			p := compile(b, g, weights)
			const sequences, length = 64, 20
			tokens := randomTokens(sequences*length, 87, 1)
			for b.Loop() {
				run(b, p, tokens, sequences)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/(sequences*length), "µs/step")
		})
	}
}
