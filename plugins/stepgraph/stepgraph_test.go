package stepgraph_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// small is a network with every operation but Concat, Normalize and Round, and its weights.
func small() (stepgraph.Graph, map[string]packed.Matrix) {
	return sample.LSTM{Units: 3, Inputs: 5, Outputs: 4, Steps: 2, Format: sample.Ternary, Seed: 7}.Build()
}

func matrix(t *testing.T, rows, cols int, values ...float32) packed.Matrix {
	t.Helper()
	m, err := packed.FromValues(values, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// (1, 2, 6) has mean 3 and variance 14/3.
func TestNormalizeByHand(t *testing.T) {
	t.Parallel()
	const epsilon = 1.0 / 3
	r, err := stepgraph.NewReference(stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 3}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Normalize, Inputs: []string{"x"}, Size: 3, Epsilon: epsilon}},
		Output: "y",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Dense([]float32{1, 2, 6, 4, 4, 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{-2 / math.Sqrt(5), -1 / math.Sqrt(5), 3 / math.Sqrt(5), 0, 0, 0} {
		if math.Abs(got[i]-want) > 1e-15 {
			t.Errorf("value %d is %v, want %v", i, got[i], want)
		}
	}
}

// Two bits have the levels −1, −⅓, ⅓ and 1, and the middles −⅔, 0 and ⅔, which go up.
func TestRoundByHand(t *testing.T) {
	t.Parallel()
	x := []float64{-9, -1, -0.7, -2.0 / 3, -0.6, -1e-300, 0, 0.6, 0.7, 1, 9, math.Inf(-1), math.Inf(1), math.NaN()}
	g := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Size: len(x)}}, Output: "y"}
	for bits, want := range map[int][]float64{
		1: {-1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, -1, 1, math.NaN()},
		2: {-1, -1, -1, -1.0 / 3, -1.0 / 3, -1.0 / 3, 1.0 / 3, 1.0 / 3, 1, 1, 1, -1, 1, math.NaN()},
	} {
		g.Nodes = []stepgraph.Node{{Name: "y", Op: stepgraph.Round, Inputs: []string{"x"}, Size: len(x), Bits: bits}}
		r, err := stepgraph.NewReference(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Step(stepgraph.Value{Vector: x})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want {
			if got[i] != v && !(math.IsNaN(v) && math.IsNaN(got[i])) {
				t.Errorf("%v rounded to %d bits is %v, want %v", x[i], bits, got[i], v)
			}
		}
	}
}

// Any number of bits gives the nearest of the levels, as DoReFa's quantize does between
// −1 and 1, and gives a level back.
func TestRoundIsNearest(t *testing.T) {
	t.Parallel()
	for bits := 1; bits <= stepgraph.MostBits; bits++ {
		n := math.Exp2(float64(bits)) - 1
		for i := range 2001 {
			x := float64(i-1000)/1000 + 1e-7 // in the middle of none
			x = min(x, 1)
			got, want := stepgraph.Rounded(x, bits), 2*math.Round(n*(x+1)/2)/n-1
			if math.Abs(got-want) > 1e-15 || math.Abs(got-x) > 1/n+1e-15 {
				t.Errorf("%v rounded to %d bits is %v, want %v", x, bits, got, want)
			}
			if again := stepgraph.Rounded(float64(float32(got)), bits); again != got {
				t.Errorf("the level %v of %d bits is rounded to %v", got, bits, again)
			}
		}
	}
}

// Every operation by hand, over two steps of a graph whose state adds up.
func TestReferenceByHand(t *testing.T) {
	t.Parallel()
	in := func(names ...string) []string { return names }
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: 2}},
		States: []stepgraph.State{{Name: "s", Size: 2, Init: []float32{1, -1}, Next: "sum"}},
		Nodes: []stepgraph.Node{
			{Name: "column", Op: stepgraph.Lookup, Inputs: in("x"), Size: 2, Weight: "E"},
			{Name: "sum", Op: stepgraph.Add, Inputs: in("s", "column"), Size: 2},
			{Name: "both", Op: stepgraph.Concat, Inputs: in("sum", "s"), Size: 4},
			{Name: "tail", Op: stepgraph.Slice, Inputs: in("both"), Size: 3, Offset: 1},
			{Name: "W·tail", Op: stepgraph.MatVec, Inputs: in("tail"), Size: 2, Weight: "W"},
			{Name: "affine", Op: stepgraph.ScaleShift, Inputs: in("W·tail"), Size: 2,
				Scale: stepgraph.Table{Rows: 2, Values: []float32{1, 1, 0.5, 0.25}},
				Shift: stepgraph.Table{Rows: 1, Values: []float32{0.5, 0}}},
			{Name: "σ", Op: stepgraph.Sigmoid, Inputs: in("affine"), Size: 2},
			{Name: "tanh", Op: stepgraph.Tanh, Inputs: in("affine"), Size: 2},
			{Name: "product", Op: stepgraph.Mul, Inputs: in("σ", "tanh"), Size: 2},
		},
		Output: "product",
	}
	weights := map[string]packed.Matrix{
		"E": matrix(t, 2, 2, 1, 2, 3, 4),
		"W": matrix(t, 2, 3, 1, 0, -1, 0, 2, 1),
	}
	r, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Tokens([]int32{1, 0, 0})
	if err != nil {
		t.Fatal(err)
	}

	var want []float64
	product := func(affine0, affine1 float64) {
		σ := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		want = append(want, σ(affine0)*math.Tanh(affine0), σ(affine1)*math.Tanh(affine1))
	}
	// s = (1, −1), column 1 of E = (2, 4): sum = (3, 3), tail = (3, 1, −1).
	product(3-(-1)+0.5, 2*1+(-1))
	// s = (3, 3), column 0 of E = (1, 3): sum = (4, 6), tail = (6, 3, 3).
	product((6-3)*0.5+0.5, (2*3+3)*0.25)
	// s = (4, 6): sum = (5, 9), tail = (9, 4, 6); the last table row stays.
	product((9-6)*0.5+0.5, (2*4+6)*0.25)
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15 {
			t.Errorf("output %d: got %v, want %v", i, got[i], want[i])
		}
	}
	again, err := r.Tokens([]int32{1, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if again[i] != got[i] {
			t.Errorf("output %d of a second sequence: got %v, want %v as of the first: it starts anew", i, again[i], got[i])
		}
	}
}

// A graph with several inputs takes them in order: y = E[:, a] + b, where b is dense.
func TestSeveralInputs(t *testing.T) {
	t.Parallel()
	r, err := stepgraph.NewReference(stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "a", Token: true, Size: 2}, {Name: "b", Size: 2}},
		Nodes: []stepgraph.Node{
			{Name: "E·a", Op: stepgraph.Lookup, Inputs: []string{"a"}, Size: 2, Weight: "E"},
			{Name: "y", Op: stepgraph.Add, Inputs: []string{"E·a", "b"}, Size: 2},
		},
		Output: "y",
	}, map[string]packed.Matrix{"E": matrix(t, 2, 2, 1, 2, 3, 4)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Step(stepgraph.Value{Token: 1}, stepgraph.Value{Vector: []float64{10, 20}})
	if err != nil || got[0] != 12 || got[1] != 24 {
		t.Errorf("got %v, error %v, want 12 and 24", got, err)
	}
	if _, err := r.Step(stepgraph.Value{Token: 1}, stepgraph.Value{Vector: []float64{10}}); err == nil || !strings.Contains(err.Error(), `input "b" is given 1 values; it takes 2`) {
		t.Errorf("got error %v for a vector of the wrong size", err)
	}
}

// A token input and the one-hot vector it stands for give the same outputs.
func TestTokenIsOneHot(t *testing.T) {
	t.Parallel()
	g, weights := small()
	tokens, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	sequence := []int32{4, 0, 3}
	want, err := tokens.Tokens(sequence)
	if err != nil {
		t.Fatal(err)
	}
	g.Inputs[0].Token = false
	for i := range g.Nodes {
		if g.Nodes[i].Op == stepgraph.Lookup {
			g.Nodes[i].Op = stepgraph.MatVec
		}
	}
	dense, err := stepgraph.NewReference(g, weights)
	if err != nil {
		t.Fatal(err)
	}
	oneHot := make([]float32, len(sequence)*g.Inputs[0].Size)
	for t, token := range sequence {
		oneHot[t*g.Inputs[0].Size+int(token)] = 1
	}
	got, err := dense.Dense(oneHot)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || len(got) != len(sequence)*4 {
		t.Fatalf("got %d outputs, want %d and %d", len(got), len(want), len(sequence)*4)
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("output %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func TestReferenceRefuses(t *testing.T) {
	t.Parallel()
	r, err := stepgraph.NewReference(small())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tokens([]int32{0, 5}); err == nil || !strings.Contains(err.Error(), "token 5 at step 1 is outside the vocabulary of 5") {
		t.Errorf("got error %v for a token beyond the vocabulary", err)
	}
	if _, err := r.Dense([]float32{1}); err == nil {
		t.Error("got no error for dense input to a graph that takes tokens")
	}
	for want, inputs := range map[string][]stepgraph.Value{
		"0 inputs are given; it takes 1":   nil,
		"2 inputs are given; it takes 1":   make([]stepgraph.Value, 2),
		"is a token and is given a vector": {{Vector: []float64{1}}},
		"token -1 at step 1":               {{Token: -1}},
	} {
		if _, err := r.Step(inputs...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that says %q", err, want)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	g, _ := small()
	macs := g.MACs()
	if len(macs) != 2 || macs["Wh·h"] != 12*3 || macs["W·h'"] != 4*3 {
		t.Errorf("got MACs %v, want 36 of Wh·h and 12 of W·h'", macs)
	}
	// Three tables of 2×12 and two of 2×3, and a bias of 4.
	if got, want := g.TableBytes(), 4*(3*24+2*6+4); got != want {
		t.Errorf("got %d bytes of tables, want %d", got, want)
	}
	if got, want := g.StateBytes(), 4*(3+3); got != want {
		t.Errorf("got %d bytes of states, want %d", got, want)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	g, weights := small()
	if err := g.Validate(weights); err != nil {
		t.Fatalf("a sound graph: %v", err)
	}
	for _, test := range []struct {
		spoil func(*stepgraph.Graph, map[string]packed.Matrix)
		says  string
	}{
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Inputs[0].Size = 0 }, "size 0"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Inputs = nil }, "there is no input"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Inputs = append(g.Inputs, g.Inputs[0]) }, `"x" is taken twice`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Op = "softmax" }, "there is no such operation"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Inputs[0].Name = "" }, "has no name"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.States[0].Init = nil }, "0 initial values"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.States[0].Init[1] = float32(math.NaN()) }, "starts with NaN at element 1"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.States[1].Name = "h" }, `"h" is taken twice`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.States[0].Next = "nowhere" }, `"nowhere", which is no node`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.States[0].Next = "a" }, `size 3 but its next value "a" has 12`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Output = "h" }, `output "h" is no node`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[1].Name = "x" }, `"x" is taken twice`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Op = "relu" }, `node "g" (relu): there is no such operation`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Inputs = nil }, "has 0 inputs; it takes 1"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Inputs = []string{"o"} }, `"o" is not defined before it`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Inputs = []string{"x"} }, "only a lookup takes"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[2].Inputs = []string{"h"} }, "is not a token"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Size = 4 }, `has size 4 but its input "a.g" has 3`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Size = 0 }, "size 0"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Weight = "softmax.W" }, "does not take"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Recurrent = true }, "marked recurrent"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Offset = 1 }, "offset"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) {
			g.Nodes[9].Scale = stepgraph.Table{Rows: 1, Values: make([]float32, 3)}
		}, "only a scale-shift takes"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Epsilon = 1e-5 }, "only a normalize takes"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Bits = 1 }, "only a round takes"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[9].Op = stepgraph.Round }, "rounds to 0 bits; it must be 1 to 8"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) {
			g.Nodes[9].Op, g.Nodes[9].Bits = stepgraph.Round, 9
		}, "rounds to 9 bits"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) {
			g.Nodes[9].Op, g.Nodes[9].Bits, g.Nodes[9].Size = stepgraph.Round, 2, 2
		}, `has size 2 but its input "a.g" has 3`},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[8].Offset = 10 }, "elements 10 to 13"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[5].Offset = -1 }, "elements -1 to 2"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) { g.Nodes[1].Scale.Rows = 3 }, "scale table has 24 values; 3 rows of 12 are 36"},
		{func(g *stepgraph.Graph, _ map[string]packed.Matrix) {
			g.Nodes[1].Shift.Values[13] = float32(math.Inf(1))
		}, "shift table has +Inf at row 1, element 1"},
		{func(g *stepgraph.Graph, w map[string]packed.Matrix) { delete(w, "layer0.Wh") }, `"layer0.Wh" is not given`},
		{func(g *stepgraph.Graph, w map[string]packed.Matrix) { w["layer0.Wh"] = w["layer0.Wx"] }, `"layer0.Wh" is 12×5; it must be 12×3`},
		{func(g *stepgraph.Graph, w map[string]packed.Matrix) { w["other"] = w["layer0.Wx"] }, `"other" is given but no node names it`},
		{func(g *stepgraph.Graph, w map[string]packed.Matrix) {
			m := w["layer0.Wh"]
			m.Planes[0].Data = m.Planes[0].Data[1:]
			w["layer0.Wh"] = m
		}, "bytes of data for a 12×3 matrix"},
	} {
		g, weights := small()
		test.spoil(&g, weights)
		if err := g.Validate(weights); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("got error %v, want one that says %q", err, test.says)
		}
		if _, err := stepgraph.NewReference(g, weights); err == nil {
			t.Errorf("the reference took a graph with %q", test.says)
		}
	}
	for _, epsilon := range []float64{0, -1, 1, math.NaN()} {
		normalize := stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Size: 3}},
			Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Normalize, Inputs: []string{"x"}, Size: 3, Epsilon: epsilon}},
			Output: "y",
		}
		if err := normalize.Validate(nil); err == nil || !strings.Contains(err.Error(), "above 0 and below 1") {
			t.Errorf("epsilon %v: got error %v, want one that says its bounds", epsilon, err)
		}
	}
	concat := stepgraph.Node{Name: "two", Op: stepgraph.Concat, Inputs: []string{"h'", "c'"}, Size: 7}
	g.Nodes = append(g.Nodes, concat)
	if err := g.Validate(weights); err == nil || !strings.Contains(err.Error(), "size 7 but its inputs have 3 and 3") {
		t.Errorf("got error %v for a concat of the wrong size", err)
	}
}

// A few nodes, each of which doubles the one before, make a value that fills any
// memory: it is refused before anybody makes room for it.
func TestValidateBoundsTheValues(t *testing.T) {
	t.Parallel()
	doubled := func(times int) stepgraph.Graph {
		g := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Size: 1}}, Output: "x"}
		for i := range times {
			name := fmt.Sprint("x", i)
			g.Nodes = append(g.Nodes, stepgraph.Node{Name: name, Op: stepgraph.Concat, Inputs: []string{g.Output, g.Output}, Size: 2 << i})
			g.Output = name
		}
		return g
	}
	if err := doubled(23).Validate(nil); err != nil {
		t.Errorf("values of 2²⁴ − 1 elements: %v", err)
	}
	for _, times := range []int{24, 62} {
		if err := doubled(times).Validate(nil); err == nil || !strings.Contains(err.Error(), `node "x23" (concat): the values of a time step have more than 16777216 elements`) {
			t.Errorf("%d doublings: got error %v, want that a time step has too many elements", times, err)
		}
	}
}
