package systolic

import (
	"maps"
	"math"
	"testing"

	"bittern/accel/backends/internal/integer"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

func deploy(t *testing.T, n network.Network, weights map[string]packed.Matrix) *machine {
	t.Helper()
	m, _, err := resolve(plugins.Values{"lanes": "5"})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := integer.Compile(n, weights, integer.Precision{Weights: 8, Activations: 8})
	if err == nil {
		err = m.load(compiled, 3)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Operations that an LSTM lacks take the cycles of the package comment, on 5 lanes.
func TestOtherOperations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		node             stepgraph.Node
		want             float64 // cycles of a step
		part             string  // of the energy, with the float32 operations of a step
		multiplies, adds float64
	}{
		// Two sums of five lanes, each in a tree of four additions; a root by Newton's method.
		{stepgraph.Node{Op: stepgraph.Normalize, Size: 11, Epsilon: 1e-5}, 3*3 + 2*3 + 16, normalization, 2*11 + 7, 4*11 + 2*4 + 2},
		{stepgraph.Node{Op: stepgraph.Round, Size: 11, Bits: 2}, 3, nonlinear, 11, 11},
		{stepgraph.Node{Op: stepgraph.Slice, Size: 4, Offset: 2}, 0, arithmetic, 0, 0},
	} {
		c.node.Name, c.node.Inputs = "y", []string{"x"}
		g := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Size: 11}}, Nodes: []stepgraph.Node{c.node}, Output: "y"}
		got := deploy(t, network.Scanned("test", g), nil).schedule(map[string]int{"sequence": 7})
		if got.lanes != 7*c.want || got.array != 0 {
			t.Errorf("%s: seven steps take %v cycles, want %v", c.node.Op, got.lanes, 7*c.want)
		}
		if got.multiplies[c.part] != 7*c.multiplies || got.adds[c.part] != 7*c.adds {
			t.Errorf("%s: seven steps take %v multiplications and %v additions of %s, want %v and %v", c.node.Op, got.multiplies[c.part], got.adds[c.part], c.part, 7*c.multiplies, 7*c.adds)
		}
	}
}

// The softmax and the weighted sum of the attention, over 7 steps of 6 elements.
func TestAttention(t *testing.T) {
	t.Parallel()
	all := sample.Programs()
	p := all[len(all)-1]
	m := deploy(t, p.Network, p.Weights)
	whole, scans := m.schedule(p.Steps), newCounts()
	for _, s := range p.Network.Stages {
		if s.Op == network.Scan {
			times := 1
			if stream := p.Network.Along(s); stream != "" {
				times = p.Steps[stream]
			}
			m.scan(scans, s, times)
		}
	}
	if got, want := whole.lanes-scans.lanes, float64(4*2+2*3+16+7*2); got != want {
		t.Errorf("attention takes %v cycles, want %v", got, want)
	}
	// The softmax of 7 scores, with a division; the sum of 7 vectors of 6 elements.
	if got, want := whole.multiplies[nonlinear]-scans.multiplies[nonlinear], 2.0*7+5; got != want {
		t.Errorf("the softmax takes %v multiplications, want %v", got, want)
	}
	if got, want := whole.adds[nonlinear]-scans.adds[nonlinear], 4.0*7+2*4+2; got != want {
		t.Errorf("the softmax takes %v additions, want %v", got, want)
	}
	if got, want := whole.multiplies[arithmetic]-scans.multiplies[arithmetic], 7.0*6; got != want {
		t.Errorf("the weighted sum takes %v multiplications, want %v", got, want)
	}
}

// The recurrence is what lies between a state and a next value: not what enters, and not
// what only the output needs.
func TestRecurrence(t *testing.T) {
	t.Parallel()
	node := func(name string, op stepgraph.Op, inputs ...string) stepgraph.Node {
		return stepgraph.Node{Name: name, Op: op, Inputs: inputs, Size: 2}
	}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 2}},
		States: []stepgraph.State{{Name: "h", Size: 2, Next: "h'"}, {Name: "last", Size: 2, Next: "before"}},
		Nodes: []stepgraph.Node{
			node("before", stepgraph.Tanh, "x"),
			node("Wh", stepgraph.Tanh, "h"),
			node("sum", stepgraph.Add, "before", "Wh"),
			node("h'", stepgraph.Tanh, "sum"),
			node("after", stepgraph.Tanh, "h'"),
			node("delayed", stepgraph.Add, "last", "after"),
		},
		Output: "delayed",
	}
	got := recurrence(g)
	maps.DeleteFunc(got, func(_ string, is bool) bool { return !is })
	if want := map[string]bool{"Wh": true, "sum": true, "h'": true}; !maps.Equal(got, want) {
		t.Errorf("the recurrence is %v, want %v", got, want)
	}
}

// Every event is of one layer: the layers' parts add up to those of all events together.
func TestLayersAddUp(t *testing.T) {
	t.Parallel()
	for _, p := range sample.Programs() {
		m := deploy(t, p.Network, p.Weights)
		whole := m.schedule(p.Steps)
		placed := m.place(whole)
		moved := m.traffic(whole, placed, p.Steps)
		want := m.leakage() + moved.bits()*m.costs.DRAM(m.dram)
		for _, part := range m.events(whole, placed, moved.in, moved.out) {
			want += part.Value
		}
		got := 0.0
		for _, part := range m.energyParts(placed, moved, p.Steps, 1) {
			got += part.Value
		}
		if math.Abs(got-want) > 1e-12*want {
			t.Errorf("%s: the parts add up to %v J, want %v", p.Name, got, want)
		}
	}
}
