package cpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
	"bittern/accel/kernels/lut"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/plugintest"
	"bittern/plugins/stepgraph"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	few := plugins.Values{timed: "2"}
	plugintest.Backend(t, New, few, plugins.Values{timed: "3", activations: "exact", threads: "2"}).Want(t)
}

var uniform3 = []float32{-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5}

// networks have odd sizes, every width of weight, tokens and dense inputs.
var networks = map[string]sample.LSTM{
	"binary":            {Units: 33, Inputs: 11, Outputs: 11, Steps: 7, Format: sample.Binary, Seed: 1},
	"binary, one unit":  {Units: 1, Inputs: 2, Outputs: 2, Steps: 1, Format: sample.Binary, Seed: 2},
	"ternary":           {Units: 129, Inputs: 50, Outputs: 50, Steps: 20, Format: sample.Ternary, Seed: 3},
	"ternary by row":    {Units: 65, Inputs: 27, Outputs: 5, Steps: 9, Format: sample.PerRow(sample.Ternary), Seed: 4},
	"3 bits":            {Units: 47, Inputs: 13, Outputs: 13, Steps: 9, Format: sample.Format{Planes: [][]float32{uniform3}}, Seed: 5},
	"3 bits, odd steps": {Units: 21, Inputs: 7, Outputs: 7, Steps: 9, Format: sample.Format{Planes: [][]float32{{-2, -0.3, 0, 0.1, 1.7}}}, Seed: 6},
	"no output layer":   {Units: 70, Inputs: 9, Steps: 9, Format: sample.PerRow(sample.Binary), Seed: 10},
	"two planes by row": {Units: 45, Inputs: 12, Outputs: 6, Steps: 5, Format: sample.PerRow(sample.TwoPlanes), Seed: 12},
	"two scales":        {Units: 29, Inputs: 9, Outputs: 9, Steps: 5, Format: sample.Asymmetric, Seed: 13},
	"eight levels":      {Units: 77, Inputs: 14, Outputs: 9, Steps: 5, Format: sample.PerRow(sample.EightFree), Seed: 14},
	"4 bits":            {Units: 35, Inputs: 8, Outputs: 5, Steps: 5, Format: sample.Uniform, Seed: 15},
	"full precision":    {Units: 31, Inputs: 9, Outputs: 9, Steps: 9, Seed: 7},
	"dense, ternary":    {Units: 40, Inputs: 3, Dense: true, Outputs: 10, Steps: 9, Format: sample.Ternary, Seed: 8},
	"dense, one pixel":  {Units: 20, Inputs: 1, Dense: true, Outputs: 10, Steps: 9, Format: sample.Binary, Seed: 9},
}

// Outputs are those of the reference interpreter: with exact activations but for
// float32 rounding, with rounded ones but for theirs, each over 20 recurrent steps.
func TestNetworks(t *testing.T) {
	t.Parallel()
	for name, network := range networks {
		g, weights := network.Build()
		for precision, tolerance := range map[lut.Precision]float64{lut.Exact: 4e-6, lut.Int14: 1e-3, lut.Int8: 3e-2} {
			t.Run(fmt.Sprintf("%s/%d", name, precision), func(t *testing.T) {
				t.Parallel()
				compare(t, g, weights, precision, tolerance)
			})
		}
	}
}

// compare runs a sequence through a network and through the reference. The
// tolerance is of the root mean square of the outputs.
func compare(t *testing.T, g stepgraph.Graph, weights map[string]packed.Matrix, precision lut.Precision, tolerance float64) {
	t.Helper()
	reference, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	n := scanned(t, g, weights, precision)
	batch := randomBatch(n.Shape(1, steps(20), false))
	var want []float64
	if g.Inputs[0].Token {
		want, err = reference.Tokens(batch.Int32["x"])
	} else {
		want, err = reference.Dense(batch.Float32["x"])
	}
	if err != nil {
		t.Fatal(err)
	}
	squares, largest := 0.0, 0.0
	for i, got := range n.outputs(t, batch) {
		squares += want[i] * want[i]
		largest = max(largest, math.Abs(float64(got)-want[i]))
		if math.IsNaN(float64(got)) {
			t.Fatalf("output %d of step %d: got NaN, want %v", i%n.Classes(), i/n.Classes(), want[i])
		}
	}
	scale := math.Sqrt(squares / float64(len(want)))
	if largest > tolerance*scale {
		t.Errorf("outputs differ from the reference by up to %.2g of their root mean square, want at most %.2g", largest/scale, tolerance)
	}
	t.Logf("outputs differ from the reference by up to %.2g of their root mean square", largest/scale)
}

// scanned is the network of a graph alone.
func scanned(t testing.TB, g stepgraph.Graph, weights map[string]packed.Matrix, precision lut.Precision) *deployed {
	t.Helper()
	n, err := newDeployed(network.Scanned("test", g), weights, precision)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// steps are those of the stream that [network.Scanned] goes along.
func steps(n int) map[string]int { return map[string]int{"sequence": n} }

// outputs runs a batch and returns the logits.
func (d *deployed) outputs(t testing.TB, batch network.Batch) []float32 {
	t.Helper()
	outputs := make([]float32, len(batch.Targets)*d.Classes())
	if _, err := d.program.NewExecution().Execute(t.Context(), backend.Execute{Batch: batch, Outputs: outputs}, 1, 1); err != nil {
		t.Fatal(err)
	}
	return outputs
}

// Rounded activations cost next to nothing: the cross entropy of a sequence
// changes by less than a thousandth of a bit a symbol, a tenth of the last digit
// that papers print.
func TestPrecisionCost(t *testing.T) {
	t.Parallel()
	network := sample.LSTM{Units: 160, Inputs: 50, Outputs: 50, Steps: 100, Format: sample.Ternary, Seed: 11}
	g, weights := network.Build()
	reference, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range []lut.Precision{lut.Int14, lut.Int8} {
		n := scanned(t, g, weights, precision)
		batch := randomBatch(n.Shape(1, steps(200), false))
		tokens := batch.Int32["x"]
		exact, err := reference.Tokens(tokens)
		if err != nil {
			t.Fatal(err)
		}
		rounded := make([]float64, len(exact))
		for i, v := range n.outputs(t, batch) {
			rounded[i] = float64(v)
		}
		got, want := bitsPerSymbol(rounded, tokens, network.Outputs), bitsPerSymbol(exact, tokens, network.Outputs)
		if math.Abs(got-want) > 1e-3 {
			t.Errorf("precision %d: got %v bits a symbol, want %v ± 0.001", precision, got, want)
		}
		t.Logf("precision %d: %v bits a symbol, %.2g from the reference", precision, got, got-want)
	}
}

// bitsPerSymbol is the mean of −log₂ softmax(logits)[next token].
func bitsPerSymbol(logits []float64, tokens []int32, classes int) float64 {
	total := 0.0
	for step := range len(tokens) - 1 {
		row, sum := logits[step*classes:(step+1)*classes], 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		total += math.Log(sum) - row[tokens[step+1]]
	}
	return total / float64(len(tokens)-1) / math.Ln2
}

// A graph with every operation, and what the compiler must look out for: values
// with several users, sums of two products, scales and shifts alone, slices of
// states, states that take over from each other, an output that is a slice.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	in := func(names ...string) []string { return names }
	table := func(rows, size int) stepgraph.Table {
		values := make([]float32, rows*size)
		for i := range values {
			values[i] = float32(rng.NormFloat64() / 2)
		}
		return stepgraph.Table{Rows: rows, Values: values}
	}
	matrix := func(rows, cols int) packed.Matrix {
		m, err := packed.FromValues(table(rows, cols).Values, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 3}},
		States: []stepgraph.State{
			{Name: "a", Size: 5, Init: table(1, 5).Values, Next: "a'"},
			{Name: "b", Size: 2, Init: table(1, 2).Values, Next: "a.tail"},
			{Name: "p", Size: 5, Init: table(1, 5).Values, Next: "damped"},
		},
		Nodes: []stepgraph.Node{
			{Name: "a.tail", Op: stepgraph.Slice, Inputs: in("a"), Size: 2, Offset: 3},
			{Name: "xb", Op: stepgraph.Concat, Inputs: in("x", "b"), Size: 5},
			{Name: "W·xb", Op: stepgraph.MatVec, Inputs: in("xb"), Size: 5, Weight: "W"},
			{Name: "V·xb", Op: stepgraph.MatVec, Inputs: in("xb"), Size: 5, Weight: "V"},
			{Name: "W·xb scaled", Op: stepgraph.ScaleShift, Inputs: in("W·xb"), Size: 5, Scale: table(3, 5)},
			{Name: "V·xb shifted", Op: stepgraph.ScaleShift, Inputs: in("V·xb"), Size: 5, Shift: table(2, 5)},
			{Name: "V·xb again", Op: stepgraph.Tanh, Inputs: in("V·xb"), Size: 5},
			{Name: "same", Op: stepgraph.ScaleShift, Inputs: in("V·xb again"), Size: 5},
			{Name: "scaled", Op: stepgraph.ScaleShift, Inputs: in("same"), Size: 5, Scale: table(4, 5)},
			{Name: "product", Op: stepgraph.Mul, Inputs: in("W·xb scaled", "p"), Size: 5},
			{Name: "used twice", Op: stepgraph.Mul, Inputs: in("a", "p"), Size: 5},
			{Name: "two products", Op: stepgraph.Add, Inputs: in("product", "scaled"), Size: 5},
			{Name: "no product", Op: stepgraph.Add, Inputs: in("V·xb shifted", "used twice"), Size: 5},
			{Name: "squared", Op: stepgraph.Mul, Inputs: in("used twice", "used twice"), Size: 5},
			{Name: "doubled", Op: stepgraph.Add, Inputs: in("squared", "squared"), Size: 5},
			{Name: "σ", Op: stepgraph.Sigmoid, Inputs: in("two products"), Size: 5},
			{Name: "sum", Op: stepgraph.Add, Inputs: in("no product", "σ"), Size: 5},
			{Name: "larger", Op: stepgraph.Add, Inputs: in("sum", "doubled"), Size: 5},
			{Name: "normal", Op: stepgraph.Normalize, Inputs: in("larger"), Size: 5, Epsilon: 1e-5},
			{Name: "a'", Op: stepgraph.Tanh, Inputs: in("normal"), Size: 5},
			{Name: "damped", Op: stepgraph.Sigmoid, Inputs: in("sum"), Size: 5},
			{Name: "all", Op: stepgraph.Concat, Inputs: in("damped", "a'"), Size: 10},
			{Name: "rounded", Op: stepgraph.Round, Inputs: in("all"), Size: 10, Bits: 5},
			{Name: "part", Op: stepgraph.Slice, Inputs: in("rounded"), Size: 7, Offset: 2},
			{Name: "part of part", Op: stepgraph.Slice, Inputs: in("part"), Size: 5, Offset: 1},
			{Name: "with a", Op: stepgraph.Concat, Inputs: in("part of part", "a.tail"), Size: 7},
		},
		Output: "with a",
	}
	weights := map[string]packed.Matrix{"W": matrix(5, 5), "V": matrix(5, 5)}
	compare(t, g, weights, lut.Exact, 4e-6)
	for _, output := range []string{"part of part", "a.tail", "xb", "used twice"} {
		g.Output = output
		compare(t, g, weights, lut.Exact, 4e-6)
	}
}

// The sigmoids of values that lie side by side are one instruction, but not that of a sigmoid.
func TestActivationsSideBySide(t *testing.T) {
	t.Parallel()
	const size = 16 // a cache line, so that nothing lies between values
	in := func(names ...string) []string { return names }
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 4 * size}},
		Nodes: []stepgraph.Node{
			{Name: "x.g", Op: stepgraph.Slice, Inputs: in("x"), Size: size},
			{Name: "x.f", Op: stepgraph.Slice, Inputs: in("x"), Size: size, Offset: size},
			{Name: "x.i", Op: stepgraph.Slice, Inputs: in("x"), Size: size, Offset: 2 * size},
			{Name: "x.o", Op: stepgraph.Slice, Inputs: in("x"), Size: size, Offset: 3 * size},
			{Name: "g", Op: stepgraph.Tanh, Inputs: in("x.g"), Size: size},
			{Name: "f", Op: stepgraph.Sigmoid, Inputs: in("x.f"), Size: size},
			{Name: "i", Op: stepgraph.Sigmoid, Inputs: in("x.i"), Size: size},
			{Name: "o", Op: stepgraph.Sigmoid, Inputs: in("x.o"), Size: size},
			{Name: "once", Op: stepgraph.Sigmoid, Inputs: in("o"), Size: size},
			{Name: "twice", Op: stepgraph.Sigmoid, Inputs: in("once"), Size: size},
			{Name: "f·i", Op: stepgraph.Mul, Inputs: in("f", "i"), Size: size},
			{Name: "g + f·i", Op: stepgraph.Add, Inputs: in("g", "f·i"), Size: size},
			{Name: "sum", Op: stepgraph.Add, Inputs: in("g + f·i", "twice"), Size: size},
		},
		Output: "sum",
	}
	compare(t, g, nil, lut.Exact, 4e-6)
	compiled, err := newWeights(nil, lut.Exact).newGraph(g)
	if err != nil {
		t.Fatal(err)
	}
	var lengths []int
	for _, instruction := range compiled.program {
		if i, ok := instruction.(each).operation.(apply); ok {
			lengths = append(lengths, i.y.size())
		}
	}
	if want := []int{size, 3 * size, size, size}; !slices.Equal(lengths, want) {
		t.Errorf("activations of %v elements, want %v", lengths, want)
	}
}

// Every instruction set gives outputs like the reference's: this test runs the
// others again, in processes that are told the level.
func TestLevels(t *testing.T) {
	t.Parallel()
	if os.Getenv(isa.Variable) != "" {
		t.Skipf("%s is set: this is one of the levels", isa.Variable)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range isa.Available() {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), executable, "-test.run=^(TestNetworks|TestEveryOperation)$")
			command.Env = append(os.Environ(), isa.Variable+"="+level.String())
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// No result depends on how many sequences are executed at once.
func TestThreadsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, p := range programs.Programs() {
		d, err := newDeployed(p.Network, p.Weights, lut.Int14)
		if err != nil {
			t.Fatal(err)
		}
		one, several := d.program.NewExecution(), d.program.NewExecution()
		for number := range 3 {
			batch := p.Batch(11, number)
			outputs, others := make([]float32, len(batch.Targets)*d.Classes()), make([]float32, len(batch.Targets)*d.Classes())
			want, err := one.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: outputs}, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			got, err := several.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: others}, 4, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got != want || !slices.Equal(others, outputs) {
				t.Errorf("%s, batch %d: four threads give %+v, one %+v", p.Name, number, got, want)
			}
		}
	}
}

// No time step makes garbage. (Not parallel: allocations are counted for the process.)
func TestNoGarbage(t *testing.T) {
	for name, network := range networks {
		g, weights := network.Build()
		for _, precision := range precisions {
			n := scanned(t, g, weights, precision)
			run := n.runner(t, 10)
			if garbage := testing.AllocsPerRun(3, run); garbage != 0 {
				t.Errorf("%s, precision %d: got %v allocations a sequence, want none", name, precision, garbage)
			}
		}
	}
}

// runner is what Cost times: one sequence through a scan.
func (d *deployed) runner(t testing.TB, length int) func() {
	batch := randomBatch(d.Shape(1, steps(length), false))
	worker, job, first := d.program.NewWorker(1, batch.Steps), d.program.NewJob(batch), []int{0}
	return func() {
		if err := worker.Run(t.Context(), job, first); err != nil {
			t.Error(err)
		}
	}
}

func deploy(t *testing.T, config sample.LSTM, options plugins.Values) backend.Backend {
	t.Helper()
	g, weights := config.Build()
	b := New()
	if _, err := b.Deploy(t.Context(), backend.Deploy{Options: options, Network: network.Scanned("test", g), Weights: weights}); err != nil {
		t.Fatal(err)
	}
	return b
}

// Memory of the paper's War & Peace network, binary: codes are the weights' bits
// but for padding of the input matrix's columns, which are kept one by one.
func TestMemory(t *testing.T) {
	t.Parallel()
	network := sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 100, Format: sample.Binary, Seed: 1}
	cost, err := deploy(t, network, plugins.Values{timed: "1"}).Cost(t.Context(), backend.CostRequest{Steps: steps(1)})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"recurrent codes":      2048 * (512 + 87) / 8,
		"normalisation tables": 4 * (100*(3*2048+2*512) + 87),
		"state":                4 * 2 * 512,
		"embedding":            0,
	}
	for _, part := range cost.Memory {
		if bytes, known := want[part.Name]; known && part.Value != bytes {
			t.Errorf("%s: got %v bytes, want %v", part.Name, part.Value, bytes)
		}
		delete(want, part.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing parts %v among %v", want, cost.Memory)
	}
	if *cost.SecondsLow != *cost.Seconds || *cost.SecondsHigh != *cost.Seconds {
		t.Errorf("the quartiles of one sequence are %v and %v, want the median %v", *cost.SecondsLow, *cost.SecondsHigh, *cost.Seconds)
	}
	if *cost.Seconds <= 0 || !cost.Measured || cost.N != 1 {
		t.Errorf("got %v s, measured %v, n = %d; want a measured time of 1 sequence", *cost.Seconds, cost.Measured, cost.N)
	}
}

// The workspace of an LSTM of 5 units, 3 features and 2 classes in float32, by hand,
// as the package comment says. Vectors of 2, 3 and 5 take 64 bytes, of 20 128.
//
//	x, h, c                                   3 · 64
//	both normalised products and their sum    3 · 128
//	four gates, i∘g, c', BN, tanh, h', logits 10 · 64; Wh·h, Wx·x, f∘c and W·h' are
//	                                          fused, the slices of the sum are views
//	what Wh, Wx and W multiply: h, x, h'      3 · 64
func TestWorkspaceByHand(t *testing.T) {
	t.Parallel()
	network := sample.LSTM{Units: 5, Inputs: 3, Dense: true, Outputs: 2, Steps: 2, Seed: 1}
	cost, err := deploy(t, network, plugins.Values{timed: "1", activations: "exact"}).Cost(t.Context(), backend.CostRequest{Steps: steps(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range cost.Memory {
		if part.Name == backend.PartWorkspace && part.Value != 3*64+3*128+10*64+3*64 {
			t.Errorf("the workspace has %v bytes, want %v", part.Value, 3*64+3*128+10*64+3*64)
		}
	}
}

// A network of several graphs lays a weight out once for all products and once for
// all look-ups, and its workspace has what waits between stages. By hand, in float32:
//
//	read      column x of E, h and h'       3 · 64 bytes
//	turn      the input, E·x, h and h'      4 · 64, and 64 of what E multiplies
//	logits    the input and E·x             2 · 64, and 64 of what E multiplies
func TestMemoryOfStages(t *testing.T) {
	t.Parallel()
	e, err := packed.FromValues(make([]float32, 4*4), 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	h := []stepgraph.State{{Name: "h", Size: 4, Init: make([]float32, 4), Next: "h'"}}
	graph := func(token bool, op stepgraph.Op, states []stepgraph.State) stepgraph.Graph {
		g := stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Token: token, Size: 4}}, States: states, Output: "E·x",
			Nodes: []stepgraph.Node{{Name: "E·x", Op: op, Inputs: []string{"x"}, Size: 4, Weight: "E"}},
		}
		if states != nil {
			g.Nodes = append(g.Nodes, stepgraph.Node{Name: "h'", Op: stepgraph.Add, Inputs: []string{"E·x", "h"}, Size: 4})
			g.Output = "h'"
		}
		return g
	}
	n := network.Network{
		Inputs: []network.Input{{Name: "x", Role: network.Tokens, Stream: "sequence", Size: 4}},
		Stages: []network.Stage{
			{Name: "read", Op: network.Scan, Inputs: []string{"x"}, Graph: graph(true, stepgraph.Lookup, h)},
			{Name: "turn", Op: network.Scan, Inputs: []string{"read"}, Graph: graph(false, stepgraph.MatVec, h), Reverse: true, Last: true},
			{Name: "logits", Op: network.Scan, Inputs: []string{"turn"}, Graph: graph(false, stepgraph.MatVec, nil)},
		},
		Output: "logits",
	}
	d, err := newDeployed(n, map[string]packed.Matrix{"E": e}, lut.Exact)
	if err != nil {
		t.Fatal(err)
	}
	product, _ := d.weights.matrices["E"].Bytes()
	want := map[string]float64{
		backend.PartEmbedding:   4 * 4 * 4,
		backend.PartOutputLayer: float64(product),
		backend.PartState:       2 * 4 * 4,
		// What read gives at each of 7 steps, and turn once.
		backend.PartWorkspace: 3*64 + (4+1)*64 + (2+1)*64 + 4*4*(7+1),
	}
	for _, part := range d.memoryParts(steps(7)) {
		if part.Value != want[part.Name] {
			t.Errorf("%s: %v bytes, want %v", part.Name, part.Value, want[part.Name])
		}
	}
}

// Weights that this backend keeps as float32 are no codes in its memory, and where
// they were deployed as codes it says so. 16 even levels are a sum of signs for a
// product, but too many for a look-up.
func TestSubstitutions(t *testing.T) {
	t.Parallel()
	even := make([]float32, 16)
	for i := range even {
		even[i] = float32(i)/8 - 15.0/16
	}
	const hidden, input = 4 * 64 * 64, 4 * 64 * 3 // weights of 64 units and 3 symbols
	for name, test := range map[string]struct {
		format          sample.Format
		codes, float32s float64 // bytes
		want            []string
	}{
		"binary":         {sample.Binary, (hidden + input) / 8, 0, nil},
		"even levels":    {sample.Format{Planes: [][]float32{even}}, (hidden + input) / 2, 0, nil},
		"uneven levels":  {sample.Format{Planes: [][]float32{{-3, -1, 0.5, 2}}}, (hidden + input) / 4, 0, nil},
		"two planes":     {sample.PerRow(sample.TwoPlanes), 2 * (hidden + input) / 8, 0, nil},
		"18 levels":      {sample.Format{Planes: [][]float32{append(slices.Clone(even), 9, 9.5)}}, 0, 4 * (hidden + input), []string{"layer0.Wh: 18 levels, 5 bits → float32", "layer0.Wx: 18 levels, 5 bits → float32"}},
		"full precision": {sample.Format{}, 0, 4 * (hidden + input), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := sample.LSTM{Units: 64, Inputs: 3, Outputs: 3, Steps: 2, Format: test.format, Seed: 1}
			cost, err := deploy(t, network, plugins.Values{timed: "1", activations: "exact"}).Cost(t.Context(), backend.CostRequest{Steps: steps(1)})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range cost.Substitutions {
				got = append(got, s.Weight+": "+s.From+" → "+s.To)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("substituted %q, want %q", got, test.want)
			}
			bytes := map[string]float64{}
			for _, part := range cost.Memory {
				bytes[part.Name] = part.Value
			}
			if bytes["recurrent codes"] != test.codes || bytes["recurrent float32"] != test.float32s {
				t.Errorf("%v bytes of recurrent codes and %v of float32, want %v and %v", bytes["recurrent codes"], bytes["recurrent float32"], test.codes, test.float32s)
			}
		})
	}
}

func TestQuartiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values            []float64
		low, middle, high float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{5, 1, 4, 2, 3}, 2, 3, 4},
		{[]float64{6, 1, 5, 2, 4, 3}, 2, 3.5, 5},
	} {
		if low, middle, high := quartiles(slices.Clone(test.values)); low != test.low || middle != test.middle || high != test.high {
			t.Errorf("quartiles of %v = %v, %v, %v, want %v, %v, %v", test.values, low, middle, high, test.low, test.middle, test.high)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tokens := networks["binary"]
	b := deploy(t, tokens, nil)
	g, weights := tokens.Build()
	graph := func(change func(*stepgraph.Graph)) error {
		changed := g
		change(&changed)
		_, err := New().Deploy(t.Context(), backend.Deploy{Network: network.Scanned("test", changed), Weights: weights})
		return err
	}
	configure := func(options plugins.Values) error {
		_, err := New().Deploy(t.Context(), backend.Deploy{Options: options, Network: network.Scanned("test", g), Weights: weights})
		return err
	}
	execute := func(ctx context.Context, b backend.Backend, room int, tokens ...int32) error {
		_, err := b.Execute(ctx, backend.Execute{Outputs: make([]float32, room), Batch: network.Batch{
			Sequences: 1, Steps: steps(2), Int32: map[string][]int32{"x": tokens}, Targets: []int32{0, 0},
		}})
		return err
	}
	cost := func(ctx context.Context, b backend.Backend, steps map[string]int) error {
		_, err := b.Cost(ctx, backend.CostRequest{Steps: steps})
		return err
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		err     error
		says    string
		problem bool
	}{
		{configure(plugins.Values{"activation": "exact"}), `did you mean "activations"?`, true},
		{configure(plugins.Values{activations: "int4"}), "must be one of int14, int8, exact", true},
		{graph(func(g *stepgraph.Graph) { g.Output = "nothing" }), `the output "nothing" is no node`, false},
		{execute(t.Context(), New(), 22, 0, 1), "no network is deployed", false},
		{execute(t.Context(), b, 22, 0), "the tensor x has 1 elements", true},
		{execute(t.Context(), b, 22, 0, 11), "step 1 of sequence 0 is 11", true},
		{execute(t.Context(), b, 21, 0, 1), "room for 21 outputs", true},
		{execute(ended, b, 22, 0, 1), context.Canceled.Error(), false},
		{cost(t.Context(), New(), steps(1)), "no network is deployed", false},
		{cost(t.Context(), b, nil), "at least 1", true},
		{cost(ended, b, steps(1)), context.Canceled.Error(), false},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("got error %v, want one that says %q", test.err, test.says)
			continue
		}
		if _, problem := errors.AsType[*plugins.Problem](test.err); problem != test.problem {
			t.Errorf("%v: a problem of the user's: %v, want %v", test.err, problem, test.problem)
		}
	}
}

// BenchmarkStep is a whole time step at batch 1: look-up, recurrent product,
// normalisation with statistics of its own and gates, and the output layer where
// it says so.
func BenchmarkStep(b *testing.B) {
	for _, size := range []struct{ units, symbols int }{{512, 87}, {1000, 50}, {2000, 27}} {
		for _, weights := range []struct {
			name   string
			format sample.Format
		}{
			{"binary", sample.Binary}, {"ternary", sample.Ternary}, {"binary-rows", sample.PerRow(sample.Binary)},
			{"two-planes-rows", sample.PerRow(sample.TwoPlanes)}, {"asymmetric", sample.Asymmetric}, {"4-bits", sample.Uniform}, {"eight-levels", sample.EightFree},
		} {
			for _, activations := range []string{"int14", "int8", "exact"} {
				for _, outputs := range []int{0, size.symbols} {
					network := sample.LSTM{Units: size.units, Inputs: size.symbols, Outputs: outputs, Steps: 100, Format: weights.format, Seed: 1}
					name := fmt.Sprintf("%s/%d/%s/outputs=%d", weights.name, size.units, activations, outputs)
					b.Run(name, func(b *testing.B) { benchmarkStep(b, network, precisions[activations]) })
				}
			}
		}
	}
}

func benchmarkStep(b *testing.B, network sample.LSTM, precision lut.Precision) {
	g, weights := network.Build()
	const length = 100
	run := scanned(b, g, weights, precision).runner(b, length)
	for b.Loop() {
		run()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(length*b.N), "µs/step")
}
