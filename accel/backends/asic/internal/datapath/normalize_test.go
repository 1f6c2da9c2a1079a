package datapath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

func normalizeNode(x string, size int, epsilon float64) stepgraph.Node {
	return stepgraph.Node{Name: "y", Op: stepgraph.Normalize, Inputs: []string{x}, Size: size, Epsilon: epsilon}
}

// The mean of 0, 0, 0 and 4 is 1 and their variance 3. 1/√3 has the mantissa 1182/2048, and y
// steps of 2⁻¹²: −1 and 3 times 1182/2048.
func TestNormalizeByHand(t *testing.T) {
	t.Parallel()
	p := compile(t, graph(4, "y", normalizeNode("x", 4, 1e-5)), nil)
	expect(t, dense(t, p, 0, 0, 0, 4), -1182.0/2048, -1182.0/2048, -1182.0/2048, 3*1182.0/2048)
	// Equal values have no variance; what is far below ε stays small: 1/256 − 1/512 over √(2⁻¹⁸ + ¼).
	expect(t, dense(t, p, 7, 7, 7, 7), 0, 0, 0, 0)
	p = compile(t, graph(2, "y", normalizeNode("x", 2, 0.25)), nil)
	expect(t, dense(t, p, 1.0/256, -1.0/256), 32.0/4096, -32.0/4096)
	// A single value is its own mean.
	p = compile(t, graph(1, "y", normalizeNode("x", 1, 0.25)), nil)
	expect(t, dense(t, p, 5), 0)
}

// The deviations are within a unit, and the factor of them within 2⁻¹⁰ of itself.
func TestNormalizations(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{2, 3, 7, 100, 513, mostNormalized} {
		for range max(2, 2000/n) {
			x, d := make([]int32, n), make([]int32, n)
			size := math.Exp2(4 + 16*rng.Float64())
			middle := 4 * size * rng.NormFloat64()
			mean, variance := 0.0, math.RoundToEven(float64(n)*1e-5*0x1p24)/float64(n)
			for i := range x {
				x[i] = accumulatorFor(2048).encode((middle + size*rng.NormFloat64()) / 4096)
				mean += float64(x[i]) / float64(n)
			}
			factor := newNormalization(n, 1e-5, accumulator).deviations(d, x).value()
			for _, v := range d {
				variance += float64(v) * float64(v) / float64(n)
			}
			if rms := math.Sqrt(variance); math.Abs(factor*rms-1) > 0x1p-10 {
				t.Errorf("%d values of about %v: the factor is %v, want %v within 2⁻¹⁰ of it", n, size, factor, 1/rms)
			}
			for i := range x {
				if off := math.Abs(float64(d[i]) - (float64(x[i]) - mean)); off > 1 {
					t.Fatalf("%d values of about %v: a deviation is off by %v", n, size, off)
				}
			}
		}
	}
}

// No sum overflows: the largest vectors there are, of the largest values, with the largest ε.
func TestNormalizationsDoNotOverflow(t *testing.T) {
	t.Parallel()
	x, d := make([]int32, mostNormalized), make([]int32, mostNormalized)
	for i := range x {
		x[i] = int32(1<<23-1) * int32(1-2*(i%2))
	}
	got := newNormalization(len(x), math.Nextafter(1, 0), accumulatorFor(1)).deviations(d, x).value()
	if want := 1 / math.Sqrt(2*0x1p46); math.Abs(got/want-1) > 0x1p-10 {
		t.Errorf("the factor is %v, want %v", got, want)
	}
	for i := range x {
		x[i] = -1 << 23
	}
	x[0] = 1<<23 - 1
	newNormalization(len(x), 1e-5, accumulator).deviations(d, x)
	if d[0] != 1<<23-1 || d[1] != -512 {
		t.Errorf("deviations are %d and %d, want the largest number and −2²⁴/2¹⁵", d[0], d[1])
	}
}

// Sums that only a normalization reads have as many fraction bits as their bound leaves: of
// ±2⁻¹⁵ an accumulator's 12 fraction bits would leave nothing.
func TestSmallSumsAreNormalized(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]packed.Matrix{
		"binary":     codes(t, 1, []float32{0x1p-15}, []float32{-1, 1}, 1, 0),
		"two planes": {Rows: 2, Cols: 1, Planes: []packed.Plane{codes(t, 1, []float32{0x1p-16}, []float32{-1, 1}, 1, 0).Planes[0], codes(t, 1, []float32{0x1p-16}, []float32{-1, 1}, 1, 0).Planes[0]}},
		"12 bits":    fullPrecision(t, []float32{0x1p-15, -0x1p-15}, 2, 1),
	} {
		g := graph(1, "y",
			stepgraph.Node{Name: "t", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 1},
			stepgraph.Node{Name: "Wt", Op: stepgraph.MatVec, Inputs: []string{"t"}, Size: 2, Weight: "w", Recurrent: true},
			stepgraph.Node{Name: "all", Op: stepgraph.Slice, Inputs: []string{"Wt"}, Size: 2},
			normalizeNode("all", 2, 1e-15))
		got := dense(t, compile(t, g, map[string]packed.Matrix{"w": w}), 7)
		if math.Abs(float64(got[0])-1) > 0x1p-9 || got[1] != -got[0] {
			t.Errorf("%s: ±2⁻¹⁵ are normalised to %v, want 1 and −1", name, got)
		}
		g.Nodes = append(g.Nodes, stepgraph.Node{Name: "both", Op: stepgraph.Add, Inputs: []string{"y", "Wt"}, Size: 2})
		g.Output = "both"
		expect(t, dense(t, compile(t, g, map[string]packed.Matrix{"w": w}), 7), 0, 0) // accumulators, as an Add reads them
	}
}

// overFeatures is an LSTM whose products are normalised over the features of each gate, as a
// model exports layer normalization.
func overFeatures(c sample.LSTM) (stepgraph.Graph, map[string]packed.Matrix) {
	g, weights := c.Build()
	var nodes []stepgraph.Node
	for _, n := range g.Nodes {
		if n.Name == "BN(Wh·h)" || n.Name == "BN(Wx·x)" {
			product, all := n.Inputs[0], ""
			for gate := range 4 {
				part, normal := fmt.Sprint(product, gate), fmt.Sprint("normal ", product, gate)
				one := normalizeNode(part, c.Units, 1e-5)
				one.Name = normal
				nodes = append(nodes, stepgraph.Node{Name: part, Op: stepgraph.Slice, Inputs: []string{product}, Size: c.Units, Offset: gate * c.Units}, one)
				if gate > 0 {
					normal = fmt.Sprint(product, " up to ", gate)
					nodes = append(nodes, stepgraph.Node{Name: normal, Op: stepgraph.Concat, Inputs: []string{all, one.Name}, Size: (gate + 1) * c.Units})
				}
				all = normal
			}
			n.Inputs = []string{all}
			n.Scale = stepgraph.Table{Rows: 1, Values: slices.Repeat([]float32{0.7}, n.Size)}
		}
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
	return g, weights
}

// A whole LSTM with layer normalization stays close to the float64 reference. It is about
// twice as far off as the one of TestLSTMIsCloseToTheReference: a bound of √n leaves
// both products in Q3.8, where a look-up by itself has more fraction bits.
func TestLayerNormalizationIsCloseToTheReference(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]sample.LSTM{
		"binary":         {Units: 257, Inputs: 31, Outputs: 33, Steps: 1, Format: sample.Binary},
		"ternary":        {Units: 64, Inputs: 7, Outputs: 5, Steps: 1, Format: sample.PerRow(sample.Ternary)},
		"two planes":     {Units: 33, Inputs: 13, Outputs: 9, Steps: 1, Format: sample.TwoPlanes},
		"full precision": {Units: 128, Inputs: 21, Outputs: 87, Steps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Seed = 12
			g, weights := overFeatures(c)
			reference, err := stepgraph.NewReference(g, weights)
			if err != nil {
				t.Fatal(err)
			}
			tokens := randomTokens(40, c.Inputs, 3)
			want, err := reference.Tokens(tokens)
			if err != nil {
				t.Fatal(err)
			}
			largest, rms := difference(run(t, compile(t, g, weights), tokens, 1), want)
			t.Logf("logits differ by at most %.4f, %.4f rms", largest, rms)
			if largest > 0.02 || rms > 0.005 || rms == 0 {
				t.Errorf("logits differ by %.4f at most, %.4f rms; want some, and at most 0.02 and 0.005", largest, rms)
			}
		})
	}
}
