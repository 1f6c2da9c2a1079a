package datapath

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
	"bittern/plugins/stepgraph/sample"
)

func compile(t testing.TB, g stepgraph.Graph, weights map[string]packed.Matrix) *Program {
	t.Helper()
	p, err := Compile(g, weights, 3)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run executes sequences of tokens and returns the outputs.
func run(t testing.TB, p *Program, tokens []int32, sequences int) []float32 {
	t.Helper()
	outputs := make([]float32, len(tokens)*p.output.size)
	err := p.Execute(context.Background(), backend.Execute{
		Sequences: sequences, Length: len(tokens) / sequences, Tokens: tokens, Outputs: outputs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
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
		{"binary", sample.LSTM{Units: 65, Inputs: 31, Outputs: 33, Steps: 7, Bits: 1, Levels: sample.Binary}, Binary},
		{"ternary per row", sample.LSTM{Units: 64, Inputs: 7, Outputs: 5, Steps: 3, Bits: 2, Levels: sample.Ternary, PerRow: true}, Ternary},
		{"three bits", sample.LSTM{Units: 33, Inputs: 13, Outputs: 9, Steps: 1, Bits: 3, Levels: []float32{-2, -1, -0.25, 0.5, 1.5}}, TwelveBit},
		{"full precision", sample.LSTM{Units: 300, Inputs: 21, Outputs: 87, Steps: 2, Bits: 32}, TwelveBit},
		{"one unit", sample.LSTM{Units: 1, Inputs: 1, Outputs: 1, Steps: 1, Bits: 1, Levels: sample.Binary}, Binary},
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
	config := sample.LSTM{Units: 17, Inputs: 5, Dense: true, Outputs: 3, Steps: 2, Bits: 2, Levels: sample.Ternary, Seed: 4}
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
	got := make([]float32, 20*3)
	if err := p.Execute(context.Background(), backend.Execute{Sequences: 1, Length: 20, Dense: features, Outputs: got}); err != nil {
		t.Fatal(err)
	}
	if largest, _ := difference(got, want); largest > 0.01 {
		t.Errorf("logits differ by %.4f, want at most 0.01", largest)
	}
	features[47] = float32(math.Inf(1))
	err = p.Execute(context.Background(), backend.Execute{Sequences: 1, Length: 20, Dense: features, Outputs: got})
	if err == nil || !strings.Contains(err.Error(), "feature 2 at step 9 of sequence 0") {
		t.Errorf("an infinite feature gives %v, want an error that names it", err)
	}
}

// Sequences must not see each other, however many run side by side.
func TestSequencesAreIndependent(t *testing.T) {
	t.Parallel()
	config := sample.LSTM{Units: 19, Inputs: 11, Outputs: 11, Steps: 3, Bits: 1, Levels: sample.Binary, Seed: 8}
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
	return stepgraph.Graph{Input: stepgraph.Input{Name: "x", Size: size}, Nodes: nodes, Output: output}
}

func dense(t *testing.T, p *Program, x ...float32) []float32 {
	t.Helper()
	steps := len(x) / p.input.size
	outputs := make([]float32, steps*p.output.size)
	if err := p.Execute(context.Background(), backend.Execute{Sequences: 1, Length: steps, Dense: x, Outputs: outputs}); err != nil {
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
	w, err := packed.Pack([]uint16{1, 0, 1, 1}, 2, 2, 1, []float32{-0.25, 0.25}, false)
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
	w, err := packed.Pack([]uint16{1}, 1, 1, 1, []float32{-5.0 / 4096, 5.0 / 4096}, false)
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
	for _, op := range []stepgraph.Op{stepgraph.Softmax, stepgraph.Normalize, "attention"} {
		_, err := Compile(graph(2, "y", stepgraph.Node{Name: "y", Op: op, Inputs: []string{"x"}, Size: 2}), nil, 3)
		var unsupported *backend.ErrUnsupported
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), string(op)) {
			t.Errorf("%s: error %v, want ErrUnsupported that names it", op, err)
		}
	}
	_, err := Compile(graph(2, "y", stepgraph.Node{Name: "y", Op: stepgraph.Normalize, Inputs: []string{"x"}, Size: 2, Epsilon: 1e-5}), nil, 3)
	if err == nil || !strings.Contains(err.Error(), "a mean over a vector, a square root and a division") {
		t.Errorf("normalize: error %v, want one that says which circuits are missing", err)
	}
	_, err = Compile(graph(2, "y", stepgraph.Node{Name: "y", Op: stepgraph.Tanh, Inputs: []string{"z"}, Size: 2}), nil, 3)
	if err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("a graph with an unknown input: error %v, want one that names it", err)
	}
}

func TestBadRequestsAreProblems(t *testing.T) {
	t.Parallel()
	g, weights := sample.LSTM{Units: 3, Inputs: 4, Outputs: 2, Steps: 1, Bits: 1, Levels: sample.Binary}.Build()
	p := compile(t, g, weights)
	for want, r := range map[string]backend.Execute{
		"not negative":         {Sequences: -1, Length: -1, Tokens: make([]int32, 1), Outputs: make([]float32, 2)},
		"5 tokens":             {Sequences: 2, Length: 3, Tokens: make([]int32, 5), Outputs: make([]float32, 12)},
		"room for 11 outputs":  {Sequences: 2, Length: 3, Tokens: make([]int32, 6), Outputs: make([]float32, 11)},
		"step 1 of sequence 1": {Sequences: 2, Length: 3, Tokens: []int32{0, 1, 2, 3, 4, 0}, Outputs: make([]float32, 12)},
		"token -1 at step 2":   {Sequences: 1, Length: 3, Tokens: []int32{0, 1, -1}, Outputs: make([]float32, 6)},
	} {
		err := p.Execute(context.Background(), r)
		var problem *plugins.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want a problem with %q", err, want)
		}
	}
	if err := p.Execute(context.Background(), backend.Execute{}); err != nil {
		t.Errorf("no sequences: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	err := p.Execute(cancelled, backend.Execute{Sequences: 1, Length: 1, Tokens: []int32{0}, Outputs: make([]float32, 2)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v, want %v", err, context.Canceled)
	}
}

func BenchmarkExecute(b *testing.B) {
	for _, c := range []struct {
		name   string
		bits   int
		levels []float32
	}{{"binary", 1, sample.Binary}, {"ternary", 2, sample.Ternary}, {"12-bit", 32, nil}} {
		b.Run(c.name+"/512", func(b *testing.B) {
			g, weights := sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 100, Bits: c.bits, Levels: c.levels}.Build()
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
