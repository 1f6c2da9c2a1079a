package datapath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// By hand: log₂ e is 5909/4096, so e⁻¹ is ½·2^(−1813/4096), which is 1507/2¹², and e⁻¹⁶ is
// 2⁻²³·2^(−336/4096).
func TestExponentialsByHand(t *testing.T) {
	t.Parallel()
	for u, want := range map[int64]factor{0: {2047, 0}, 4096: {1507, -1}, 8192: {1109, -2}, 2840: {2047, -1}, 1 << 16: {1935, -23}} {
		if got := exponential(u, 12); got != want {
			t.Errorf("e^−%v is %+v, want %+v", float64(u)/4096, got, want)
		}
	}
	if got := exponential(256, 8); got != exponential(4096, 12) {
		t.Errorf("e⁻¹ with 8 fraction bits is %+v", got)
	}
}

// An exponential errs by half a unit of its mantissa, 2⁻¹¹ of itself, by the rounding of the
// exponent, and by log₂ e, which is 5·10⁻⁵ of itself too small.
func TestExponentials(t *testing.T) {
	t.Parallel()
	for u := int64(0); u < 1<<16; u++ {
		x := float64(u) / 4096
		e := exponential(u, 12)
		if off := math.Abs(e.value()*math.Exp(x) - 1); off > 0x1p-11*(1.2+0.1*x) {
			t.Fatalf("e^−%v is %v, off by %v·2⁻¹¹ of itself", x, e.value(), off*0x1p11)
		}
		if off := math.Abs(e.stored().value() - math.Exp(-x)); off > 0x1p-11 {
			t.Fatalf("e^−%v is stored as %v", x, e.stored().value())
		}
	}
}

// Two equal values have 2047/4096 each. Of 0, 1 and −1 the exponentials are 1507/2¹², 2047/2¹¹ and
// 1109/2¹³, their sum 12311/2¹³, and its reciprocal 1363/2¹¹.
func TestSoftmaxByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    []int32
		want []factor
	}{
		{[]int32{7}, []factor{{2047, 0}}},
		{[]int32{5, 5}, []factor{{2047, -1}, {2047, -1}}},
		{[]int32{0, 4096, -4096}, []factor{{2006, -2}, {1362, 0}, {1476, -3}}},
		{[]int32{0, 1 << 22}, []factor{{0, 0}, {2047, 0}}},
	} {
		got := make([]factor, len(c.x))
		if softmax(got, c.x, 12); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("the softmax of %v is %v, want %v", c.x, got, c.want)
		}
	}
}

// A weight of at least 2⁻⁸ is within 2⁻⁹ of itself, and a smaller one is off by at most 2⁻¹⁷,
// however many there are. All add up to 1 within 2⁻¹⁰.
func TestSoftmax(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	for _, steps := range []int{1, 2, 3, 50, 2000} {
		for range max(5, 4000/steps) {
			x, got := make([]int32, steps), make([]factor, steps)
			largest := 1 << (6 + rng.IntN(10))
			exact, total := 0.0, 0.0
			for t := range x {
				x[t] = int32(rng.IntN(largest))
				exact += math.Exp(float64(x[t]) / 4096)
			}
			softmax(got, x, 12)
			for i, weight := range got {
				want := math.Exp(float64(x[i])/4096) / exact
				total += weight.value()
				if off := math.Abs(weight.value() - want); off > 0x1p-9*max(want, 0x1p-8) {
					t.Errorf("weight %d of %d is %v, want %v", i, steps, weight.value(), want)
				}
			}
			if math.Abs(total-1) > 0x1p-10 {
				t.Errorf("%d weights add up to %v", steps, total)
			}
		}
	}
}

// over makes a network of stages over the steps of features, which a scan gives as they are: its
// values are a score and a row of two.
func over(t *testing.T, output string, stages ...network.Stage) *Program {
	t.Helper()
	part := func(name string, offset, size int) network.Stage {
		g := graph(3, "y", stepgraph.Node{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: size, Offset: offset})
		return network.Stage{Name: name, Op: network.Scan, Inputs: []string{"x"}, Graph: g}
	}
	n := network.Scanned("test", graph(3, "y", stepgraph.Node{Name: "y", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 3}))
	n.Stages = append([]network.Stage{part("score", 0, 1), part("row", 1, 2)}, stages...)
	n.Output = output
	p, err := Compile(n, nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// execute runs one sequence and returns its outputs.
func execute(t *testing.T, p *Program, steps int, outputs int, x ...float32) []float32 {
	t.Helper()
	got := make([]float32, outputs)
	targets := 1
	if p.Graphs[len(p.Graphs)-1].gives != "" {
		targets = steps
	}
	_, err := p.NewExecution().Execute(t.Context(), backend.Execute{Outputs: got, Batch: network.Batch{
		Sequences: 1, Steps: map[string]int{"sequence": steps}, Float32: map[string][]float32{"x": x}, Targets: make([]int32, targets),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var (
	softmaxStage = network.Stage{Name: "weights", Op: network.Softmax, Inputs: []string{"score"}}
	sumStage     = network.Stage{Name: "sum", Op: network.WeightedSum, Inputs: []string{"weights", "row"}}
)

// With the weights of TestSoftmaxByHand, by hand: 2006/2¹³·3 + 1362/2¹¹·5 + 1476/2¹⁴·7 in steps of 1/256.
func TestAttentionByHand(t *testing.T) {
	t.Parallel()
	x := []float32{0, 3, -3, 1, 5, 0, -1, 7, 1}
	expect(t, execute(t, over(t, "weights", softmaxStage), 3, 3, x...), 2006.0/8192, 1362.0/2048, 1476.0/16384)
	p := over(t, "sum", softmaxStage, sumStage)
	expect(t, execute(t, p, 3, 2, x...), 1201.0/256, -165.0/256)
	if p.Root != `operation "softmax" of stage "weights"` {
		t.Errorf("the root unit is needed by %q", p.Root)
	}
	// One step has the weight 2047/2048, and 7 − 7/2048 is nearer to 1791/256 than to 7.
	expect(t, execute(t, p, 1, 2, 3, 7, -1), 1791.0/256, -1)
}

// Weights that are no softmax's are activations, and their sums saturate: 7.5·7.5 does, before
// the second step takes 7.5 from it.
func TestWeightsOfAnyKind(t *testing.T) {
	t.Parallel()
	given := sumStage
	given.Inputs = []string{"score", "row"}
	p := over(t, "sum", given)
	expect(t, execute(t, p, 2, 2, 0.5, 3, -1, 2, 1, 0.25), 3.5, 0)
	expect(t, execute(t, p, 1, 2, 7.5, 7.5, -7.5), 8-1.0/256, -8)
	if p.Root != "" {
		t.Errorf("a weighted sum alone needs a root unit: %q", p.Root)
	}
}

// The values between the stages are kept: a score and a row of two activations for each step, a
// factor of 16 bits for each, and two accumulators.
func TestMemoryOfAttention(t *testing.T) {
	t.Parallel()
	p := over(t, "sum", softmaxStage, sumStage)
	if got, want := p.KeptBits(map[string]int{"sequence": 10}), 10*(12+2*12)+10*16+2*24; got != want {
		t.Errorf("values between stages take %d bits, want %d", got, want)
	}
}

// The weights of a softmax add up to 1, so a weighted sum of hidden states is in Q0.11, and its
// accumulators in Q0.23. Other weights have no bound.
func TestFormatsOfAttention(t *testing.T) {
	t.Parallel()
	hidden := network.Stage{Name: "hidden", Op: network.Scan, Inputs: []string{"row"},
		Graph: graph(2, "h", stepgraph.Node{Name: "h", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 2})}
	read, given := sumStage, sumStage
	read.Inputs = []string{"weights", "hidden"}
	given.Inputs = []string{"score", "hidden"}
	for _, c := range []struct {
		program *Program
		sum, y  format
	}{
		{over(t, "sum", softmaxStage, hidden, read), format{24, 23}, format{12, 11}},
		{over(t, "sum", hidden, given), accumulator, format{12, 8}},
	} {
		at := slices.IndexFunc(c.program.Graphs, func(g *Graph) bool { return g.attention != nil && g.attention.op == network.WeightedSum })
		if a := c.program.Graphs[at].attention; a.sum != c.sum || a.y != c.y {
			t.Errorf("a weighted sum is added up as %+v and given as %+v, want %+v and %+v", a.sum, a.y, c.sum, c.y)
		}
	}
}

// Scores that are all higher by the same have the same softmax.
func TestSoftmaxOfShiftedScores(t *testing.T) {
	t.Parallel()
	a, b := make([]factor, 4), make([]factor, 4)
	softmax(a, []int32{3, -900, 4000, 17}, 12)
	softmax(b, []int32{8000003, 7999100, 8004000, 8000017}, 12)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("the softmax of scores is %v, of those 8,000,000 higher %v", a, b)
	}
}
