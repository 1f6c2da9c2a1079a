package network_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// running is a graph that sums what enters, from an initial value, and adds a
// table's row: s' = s + x, output s' + shift[t].
func running(input string, init float32, shifts ...float32) stepgraph.Graph {
	return stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: input, Size: 1}},
		States: []stepgraph.State{{Name: "s", Size: 1, Init: []float32{init}, Next: "s'"}},
		Nodes: []stepgraph.Node{
			{Name: "s'", Op: stepgraph.Add, Inputs: []string{"s", input}, Size: 1},
			{Name: "out", Op: stepgraph.ScaleShift, Inputs: []string{"s'"}, Size: 1, Shift: stepgraph.Table{Rows: len(shifts), Values: shifts}},
		},
		Output: "out",
	}
}

// reader reads a text in both directions and attends to it: the values can be
// computed by hand.
//
//	f = running sums from the left, b = from the right, masked
//	weights = softmax over the steps of f;  y = Σ weights·b
//	logits = [y, last f]
func reader() network.Network {
	return network.Network{
		Model: "reader",
		Inputs: []network.Input{
			{Name: "x", Role: network.Features, Stream: "text", Size: 1},
			{Name: "mask", Role: network.Mask, Stream: "text", Size: 1},
			{Name: "allowed", Role: network.Candidates, Size: 2},
		},
		Stages: []network.Stage{
			{Name: "f", Op: network.Scan, Inputs: []string{"x"}, Mask: "mask", Graph: running("x", 0.5, 0)},
			{Name: "b", Op: network.Scan, Inputs: []string{"x"}, Mask: "mask", Graph: running("x", 0, 0), Reverse: true},
			{Name: "weights", Op: network.Softmax, Inputs: []string{"f"}, Mask: "mask"},
			{Name: "y", Op: network.WeightedSum, Inputs: []string{"weights", "b"}},
			{Name: "end", Op: network.Scan, Inputs: []string{"x"}, Mask: "mask", Graph: running("x", 0.5, 0), Last: true},
			{Name: "both", Op: network.Scan, Inputs: []string{"y", "end"}, Graph: stepgraph.Graph{
				Inputs: []stepgraph.Input{{Name: "y", Size: 1}, {Name: "e", Size: 1}},
				Nodes:  []stepgraph.Node{{Name: "both", Op: stepgraph.Concat, Inputs: []string{"y", "e"}, Size: 2}},
				Output: "both",
			}},
		},
		Output: "both", Candidates: "allowed",
	}
}

func TestReferenceByHand(t *testing.T) {
	t.Parallel()
	n := reader()
	if n.PerStep() || n.Classes() != 2 {
		t.Errorf("output per step %v with %d classes, want one of 2 for each sequence", n.PerStep(), n.Classes())
	}
	r, err := network.NewReference(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Run(network.Batch{
		Sequences: 2, Steps: map[string]int{"text": 3},
		Float32: map[string][]float32{"x": {1, 2, 3, 2, 9, 9}},
		Int32:   map[string][]int32{"mask": {1, 1, 1, 1, 0, 0}, "allowed": {1, 1, 0, 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// f = 1.5, 3.5, 6.5; b = 6, 5, 3.
	e := []float64{math.Exp(1.5), math.Exp(3.5), math.Exp(6.5)}
	y := (6*e[0] + 5*e[1] + 3*e[2]) / (e[0] + e[1] + e[2])
	// Of the second sequence one step counts: f = 2.5, b = 2, weight 1.
	want := []float64{y, 6.5, 2, 2.5}
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("logit %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// A sequence that goes on has the states and the position in tables of the one
// before in its place; one that starts fresh has not.
func TestSequencesGoOn(t *testing.T) {
	t.Parallel()
	n := network.Scanned("sums", running("x", 100, 0, 10, 20, 30))
	r, err := network.NewReference(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := func(goes []bool, x ...float32) string {
		t.Helper()
		got, err := r.Run(network.Batch{Sequences: 2, Steps: map[string]int{"x": 2}, Float32: map[string][]float32{"x": x}, Goes: goes})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	if got, want := run(nil, 1, 2, 3, 4), "[101 113 103 117]"; got != want {
		t.Errorf("fresh: %s, want %s", got, want)
	}
	if got, want := run([]bool{true, false}, 1, 2, 3, 4), "[124 136 103 117]"; got != want {
		t.Errorf("the first goes on: %s, want %s", got, want)
	}
}

func TestValidateNamesThePlace(t *testing.T) {
	t.Parallel()
	if err := reader().Validate(nil); err != nil {
		t.Fatalf("a valid network is refused: %v", err)
	}
	for _, c := range []struct {
		want   string
		break_ func(*network.Network)
	}{
		{"names none", func(n *network.Network) { n.Inputs[0].Stream = "" }},
		{`no role "sound"`, func(n *network.Network) { n.Inputs[0].Role = "sound" }},
		{"exactly 1 for a mask", func(n *network.Network) { n.Inputs[1].Size = 2 }},
		{"taken twice", func(n *network.Network) { n.Stages[1].Name = "f" }},
		{"no such operation", func(n *network.Network) { n.Stages[2].Op = "max" }},
		{`"nowhere" is not defined`, func(n *network.Network) { n.Stages[0].Inputs = []string{"nowhere"} }},
		{"which is no operand", func(n *network.Network) { n.Stages[0].Inputs = []string{"mask"} }},
		{"no input of the role mask", func(n *network.Network) { n.Stages[0].Mask = "x" }},
		{"run once", func(n *network.Network) { n.Stages[5].Reverse = true }},
		{"takes no mask", func(n *network.Network) { n.Stages[3].Mask = "mask" }},
		{"is no sequence", func(n *network.Network) {
			n.Stages[3].Inputs[1] = "end"
			n.Stages[3], n.Stages[4] = n.Stages[4], n.Stages[3]
		}},
		{"has 2 inputs; it takes 1", func(n *network.Network) { n.Stages[2].Inputs = []string{"f", "b"} }},
		{"is no stage", func(n *network.Network) { n.Output = "x" }},
		{"2, and the output has 1", func(n *network.Network) { n.Output = "end" }},
		{"no input of the role candidates", func(n *network.Network) { n.Candidates = "mask" }},
	} {
		n := reader()
		c.break_(&n)
		if err := n.Validate(nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
	m, err := packed.FromValues([]float32{1}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader().Validate(map[string]packed.Matrix{"W": m}); err == nil || !strings.Contains(err.Error(), `"W" is given but no graph names it`) {
		t.Errorf("error %v for a weight that nobody names", err)
	}
}

func TestCheckRefusesABatch(t *testing.T) {
	t.Parallel()
	good := func() network.Batch {
		return network.Batch{
			Sequences: 1, Steps: map[string]int{"text": 2},
			Float32: map[string][]float32{"x": {1, 2}},
			Int32:   map[string][]int32{"mask": {1, 1}, "allowed": {1, 0}},
		}
	}
	if err := reader().Check(good()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*network.Batch){
		"0 sequences":        func(b *network.Batch) { b.Sequences = 0 },
		"0 steps":            func(b *network.Batch) { b.Steps = nil },
		"1 features":         func(b *network.Batch) { b.Float32["x"] = []float32{1} },
		"is NaN":             func(b *network.Batch) { b.Float32["x"][1] = float32(math.NaN()) },
		"must be below 2":    func(b *network.Batch) { b.Int32["mask"][0] = 2 },
		"has no candidate":   func(b *network.Batch) { b.Int32["allowed"][0] = 0 },
		"whether they go on": func(b *network.Batch) { b.Goes = []bool{true, true} },
	} {
		b := good()
		spoil(&b)
		if err := reader().Check(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
