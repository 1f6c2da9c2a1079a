package datapath

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
	"bittern/plugins/stepgraph/sample"
)

func fullPrecision(t *testing.T, values []float32, rows, cols int) packed.Matrix {
	t.Helper()
	m, err := packed.FromValues(values, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// codes is a matrix of two rows.
func codes(t *testing.T, bits int, scales, levels []float32, codes ...uint16) packed.Matrix {
	t.Helper()
	m, err := packed.Pack(2, len(codes)/2, packed.Codes{Bits: bits, Codes: codes, Levels: levels, Scales: scales})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheRecurrentWeightsChooseTheColumn(t *testing.T) {
	t.Parallel()
	binary := codes(t, 1, []float32{0.5}, []float32{-1, 1}, 0, 1, 1, 1)
	ternary := codes(t, 2, []float32{0.5, 2}, []float32{-1, 0, 1}, 0, 2, 1, 2)
	for name, c := range map[string]struct {
		first, second packed.Matrix
		want          Width
		substituted   []string
	}{
		"both binary": {binary, binary, Binary, nil},
		"binary and ternary": {binary, ternary, Ternary, []string{
			"first: 2 levels, 1 bit → ±α or 0 in 2 bits: recurrent weights share a column, and second is ternary; no value changes"}},
		"lopsided levels": {binary, codes(t, 1, []float32{0.5}, []float32{0, 1}, 0, 1, 1, 1), TwelveBit, []string{
			"first: 2 levels, 1 bit → 12-bit fixed point: recurrent weights share a column, and second is not ±α, or ±α and 0; no value changes",
			"second: 2 levels, 1 bit → 12-bit fixed point: no column is made for weights other than ±α, or ±α and 0; no value changes"}},
		"four levels": {ternary, codes(t, 2, []float32{1}, []float32{-3, -1, 1, 3}, 0, 1, 3, 2), TwelveBit, []string{
			"first: 3 levels, 2 bits, a scale a row → 12-bit fixed point: recurrent weights share a column, and second is not ±α, or ±α and 0; no value changes",
			"second: 4 levels, 2 bits → 12-bit fixed point: no column is made for weights other than ±α, or ±α and 0; no value changes"}},
		"not representable": {binary, codes(t, 2, []float32{1}, []float32{-1, 0.1, 1}, 0, 1, 2, 2), TwelveBit, []string{
			"first: 2 levels, 1 bit → 12-bit fixed point: recurrent weights share a column, and second is not ±α, or ±α and 0; no value changes",
			"second: 3 levels, 2 bits → 12-bit fixed point: no column is made for weights other than ±α, or ±α and 0; values are rounded"}},
		"full precision": {fullPrecision(t, []float32{0.1, 0.2, 0.3, 1}, 2, 2), binary, TwelveBit, []string{
			"first: float32 → 12-bit fixed point: no column is made for weights other than ±α, or ±α and 0; values are rounded",
			"second: 2 levels, 1 bit → 12-bit fixed point: recurrent weights share a column, and first is not ±α, or ±α and 0; no value changes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, graph(2, "y",
				stepgraph.Node{Name: "h", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 2, Weight: "first", Recurrent: true},
				stepgraph.Node{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"h"}, Size: 2, Weight: "second", Recurrent: true},
			), map[string]packed.Matrix{"first": c.first, "second": c.second})
			if p.Recurrent != c.want {
				t.Errorf("the column is %v, want %v", p.Recurrent, c.want)
			}
			var substituted []string
			for _, s := range p.Substitutions {
				substituted = append(substituted, s.Weight+": "+s.From+" → "+s.To+": "+s.Reason)
			}
			if !slices.Equal(substituted, c.substituted) {
				t.Errorf("substituted is %q, want %q", substituted, c.substituted)
			}
			for _, w := range p.Work {
				if w.Op == stepgraph.MatVec && (w.Width != c.want || w.WeightBits != 4*int(c.want)) {
					t.Errorf("%s has weights of %v in %d bits, want %v in %d", w.Name, w.Width, w.WeightBits, c.want, 4*int(c.want))
				}
			}
		})
	}
}

// A bound that reaches a state after the fifth round counts as none.
func TestBoundsOfAChainOfStates(t *testing.T) {
	t.Parallel()
	g := graph(1, "n0", stepgraph.Node{Name: "n0", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 1})
	for i := range 5 {
		name, next := fmt.Sprint("s", i), fmt.Sprint("n", i)
		g.States = append(g.States, stepgraph.State{Name: name, Size: 1, Init: []float32{0}, Next: next})
		g.Nodes = append(g.Nodes, stepgraph.Node{Name: fmt.Sprint("n", i+1), Op: stepgraph.Slice, Inputs: []string{name}, Size: 1})
	}
	p := compile(t, g, nil)
	for i, want := range []int{11, 11, 11, 11, 8} {
		if got := p.states[i].register.format.fraction; got != want {
			t.Errorf("state %d has %d fraction bits, want %d", i, got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	g, weights := sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 2, Format: sample.Binary, Seed: 1}.Build()
	p := compile(t, g, weights)
	for i, want := range map[int]int{0: 11, 1: 8} { // h is in Q0.11, c grows without a bound: Q3.8
		if got := p.states[i].register.format.fraction; got != want {
			t.Errorf("state %d has %d fraction bits, want %d", i, got, want)
		}
	}
	if got := p.output.format; got != accumulator {
		t.Errorf("logits have the format %+v, want that of the accumulators", got)
	}

	half := codes(t, 1, []float32{0.25}, []float32{-1, 1}, 0, 1, 1, 1)
	g = graph(2, "s",
		stepgraph.Node{Name: "t", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 2},
		stepgraph.Node{Name: "w", Op: stepgraph.MatVec, Inputs: []string{"t"}, Size: 2, Weight: "w", Recurrent: true},
		stepgraph.Node{Name: "m", Op: stepgraph.Mul, Inputs: []string{"w", "w"}, Size: 2},
		stepgraph.Node{Name: "s", Op: stepgraph.ScaleShift, Inputs: []string{"m"}, Size: 2,
			Scale: stepgraph.Table{Rows: 1, Values: []float32{-3, 2}}, Shift: stepgraph.Table{Rows: 1, Values: []float32{-0.5, 0.25}}},
	)
	matrices := func(stepgraph.Node) matrix { m, _ := signs(half); return m }
	bounds := ranges(g, map[string]float64{"x": math.Inf(1)}, matrices)
	for name, want := range map[string]float64{"x": math.Inf(1), "t": 1, "w": 0.5, "m": 0.25, "s": 1.25} {
		if bounds[name] != want {
			t.Errorf("the bound of %s is %v, want %v", name, bounds[name], want)
		}
	}
}
