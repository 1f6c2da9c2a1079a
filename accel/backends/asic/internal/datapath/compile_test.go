package datapath

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
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

// uniform is so many whole numbers around 0.
func uniform(count int) []float32 {
	levels := make([]float32, count)
	for i := range levels {
		levels[i] = float32(i - count/2)
	}
	return levels
}

// Every weight is the sum of its matrices, and takes the passes that it should.
func TestSigns(t *testing.T) {
	t.Parallel()
	two := func() packed.Matrix {
		first, second := codes(t, 1, []float32{0.5, 0.25}, []float32{-1, 1}, 0, 1, 1, 0), codes(t, 2, []float32{0.1}, []float32{-0.5, 0, 1}, 2, 1, 0, 0)
		return packed.Matrix{Rows: 2, Cols: 2, Planes: []packed.Plane{first.Planes[0], second.Planes[0]}}
	}()
	for name, c := range map[string]struct {
		m             packed.Matrix
		passes, parts int
	}{
		"binary":           {codes(t, 1, []float32{0.5, -2}, []float32{-1, 1}, 0, 1, 1, 0), 1, 1},
		"ternary":          {codes(t, 2, []float32{0.5}, []float32{-1, 0, 1}, 0, 1, 2, 0), 1, 1},
		"constant":         {codes(t, 1, []float32{0.5}, []float32{1}, 0, 0, 0, 0), 1, 2},
		"lopsided":         {codes(t, 1, []float32{0.5}, []float32{0, 1}, 0, 1, 1, 0), 1, 1},
		"binary, two α":    {codes(t, 1, []float32{0.5, 3}, []float32{-1, 2}, 0, 1, 1, 0), 1, 2},
		"ternary, two α":   {codes(t, 2, []float32{0.5, 3}, []float32{-1, 0, 2}, 0, 1, 2, 0), 1, 2},
		"three odd levels": {codes(t, 2, []float32{1}, []float32{-1, 0.5, 1}, 0, 1, 2, 2), 2, 2},
		"odd numbers":      {codes(t, 3, []float32{0.25}, []float32{-7, -5, -3, -1, 1, 3, 5, 7}, 7, 1, 2, 6), 3, 3},
		"whole numbers":    {codes(t, 4, []float32{0.25}, uniform(16), 15, 0, 7, 8), 4, 4},
		"seven levels":     {codes(t, 3, []float32{0.25}, uniform(7), 6, 0, 3, 5), 3, 4},
		"two planes":       {two, 2, 3},
	} {
		sum, ok := signs(c.m)
		if !ok {
			t.Errorf("%s: no sum of signs", name)
			continue
		}
		passes := 0
		for _, m := range sum {
			if !m.second {
				passes++
			}
		}
		if passes != c.passes || len(sum) != c.parts {
			t.Errorf("%s: %d passes and %d sums, want %d and %d", name, passes, len(sum), c.passes, c.parts)
		}
		for i := range 4 {
			got, want := 0.0, float64(c.m.Value(i/2, i%2))
			for _, m := range sum {
				got += float64(m.integers[i]) * m.alpha[i/2]
			}
			if math.Abs(got-want) > 1e-6 {
				t.Errorf("%s, weight %d: got %v, want %v", name, i, got, want)
			}
		}
	}
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
		"lopsided levels":  {binary, codes(t, 1, []float32{0.5}, []float32{0, 1}, 0, 1, 1, 1), Binary, nil},
		"two scales":       {ternary, codes(t, 2, []float32{0.5}, []float32{-0.3, 0, 1}, 0, 1, 2, 1), Ternary, nil},
		"even levels":      {binary, codes(t, 2, []float32{1}, []float32{-3, -1, 1, 3}, 0, 1, 3, 2), Binary, nil},
		"three bits":       {binary, codes(t, 3, []float32{0.1}, []float32{-4, -3, -2, -1, 0, 1, 2}, 0, 1, 3, 2), Binary, nil},
		"three odd levels": {binary, codes(t, 2, []float32{1}, []float32{-1, 0.1, 1}, 0, 1, 2, 2), Binary, nil},
		"not representable": {binary, codes(t, 2, []float32{1}, []float32{-1, 0.1, 0.5, 1}, 0, 1, 2, 2), TwelveBit, []string{
			"first: 2 levels, 1 bit → 12-bit fixed point: recurrent weights share a column, and second is neither planes of signs nor of signs and 0; no value changes",
			"second: 4 levels, 2 bits → 12-bit fixed point: the binary and ternary columns take planes of two levels, of three with 0 between, and codes of at most 4 bits that are sums of signs; values are rounded"}},
		"five bits": {ternary, codes(t, 5, []float32{1}, uniform(32), 0, 31, 3, 2), TwelveBit, []string{
			"first: 3 levels, 2 bits, a scale a row → 12-bit fixed point: recurrent weights share a column, and second is neither planes of signs nor of signs and 0; no value changes",
			"second: 32 levels, 5 bits → 12-bit fixed point: the binary and ternary columns take planes of two levels, of three with 0 between, and codes of at most 4 bits that are sums of signs; no value changes"}},
		"full precision": {fullPrecision(t, []float32{0.1, 0.2, 0.3, 1}, 2, 2), binary, TwelveBit, []string{
			"first: float32 → 12-bit fixed point: the binary and ternary columns take planes of two levels, of three with 0 between, and codes of at most 4 bits that are sums of signs; values are rounded",
			"second: 2 levels, 1 bit → 12-bit fixed point: recurrent weights share a column, and first is neither planes of signs nor of signs and 0; no value changes"}},
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
				if w.Op == stepgraph.MatVec && w.Width != c.want {
					t.Errorf("%s has weights of %v, want %v", w.Name, w.Width, c.want)
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
	matrices := func(stepgraph.Node) []matrix { m, _ := signs(half); return m }
	bounds := ranges(g, map[string]float64{"x": math.Inf(1)}, matrices)
	for name, want := range map[string]float64{"x": math.Inf(1), "t": 1, "w": 0.5, "m": 0.25, "s": 1.25} {
		if bounds[name] != want {
			t.Errorf("the bound of %s is %v, want %v", name, bounds[name], want)
		}
	}
}
