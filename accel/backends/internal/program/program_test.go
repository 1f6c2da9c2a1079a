package program

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// summing is a graph of one state of one value, which adds its inputs to itself and
// is given out. Its machines write down of how many sequences each step was.
type summing struct {
	inputs int
	fails  func(step int) error

	mutex sync.Mutex
	steps []int
}

func (g *summing) graph() stepgraph.Graph {
	s := stepgraph.Graph{Output: "s'", States: []stepgraph.State{{Name: "s", Size: 1, Init: []float32{0}, Next: "s'"}}}
	sum := "s"
	for i := range g.inputs {
		name, next := fmt.Sprint("x", i), fmt.Sprint("s + x", i)
		s.Inputs = append(s.Inputs, stepgraph.Input{Name: name, Size: 1})
		s.Nodes = append(s.Nodes, stepgraph.Node{Name: next, Op: stepgraph.Add, Inputs: []string{sum, name}, Size: 1})
		sum = next
	}
	s.Nodes = append(s.Nodes, stepgraph.Node{Name: "s'", Op: stepgraph.Slice, Inputs: []string{sum}, Size: 1})
	return s
}

func (g *summing) NewMachine(sequences int) Machine {
	m := &adder{summing: g, sums: make([]State, sequences)}
	for range g.inputs {
		m.x = append(m.x, make([]float32, sequences))
	}
	return m
}

type adder struct {
	*summing
	sums []State
	x    [][]float32
}

func (m *adder) Reset(i int)                         { m.sums[i] = State{Values: []float32{0}} }
func (m *adder) SetToken(input, i int, token int32)  { m.x[input][i] = float32(token) }
func (m *adder) SetVector(input, i int, x []float32) { m.x[input][i] = x[0] }
func (m *adder) Output(i int) []float32              { return m.sums[i].Values }
func (m *adder) Restore(i int, s State)              { m.sums[i] = State{s.Position, slices.Clone(s.Values)} }

func (m *adder) Save(i int) State { return State{m.sums[i].Position, slices.Clone(m.sums[i].Values)} }

func (m *adder) Step(n int) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.fails != nil {
		if err := m.fails(len(m.steps)); err != nil {
			return err
		}
	}
	m.steps = append(m.steps, n)
	for i := range n {
		for _, x := range m.x {
			m.sums[i].Values[0] += x[i]
		}
		m.sums[i].Position++
	}
	return nil
}

// features is a network of a stream of one feature with lengths.
func features(output string, stages ...network.Stage) network.Network {
	return network.Network{
		Inputs: []network.Input{
			{Name: "x", Role: network.Features, Stream: "t", Size: 1},
			{Name: "lengths", Role: network.Lengths, Stream: "t", Size: 1},
		},
		Stages: stages, Output: output,
	}
}

// powers is a batch of four sequences of lengths 2, 3, 1 and 3, where step t is 10ᵗ
// and steps beyond the length are 1000. The fourth has no target.
func powers(n network.Network) network.Batch {
	b := n.Shape(4, map[string]int{"t": 3}, false).Allocate()
	copy(b.Int32["lengths"], []int32{2, 3, 1, 3})
	for t, x := range []float32{1, 10, 100} {
		for i, length := range b.Int32["lengths"] {
			if b.Float32["x"][t*4+i] = x; t >= int(length) {
				b.Float32["x"][t*4+i] = 1000
			}
		}
	}
	for at := range b.Targets {
		if i := at % 4; i == 3 || at/4 >= int(b.Int32["lengths"][i]) {
			b.Targets[at] = -1
		}
	}
	return b
}

// Scans go from the first step of a sequence to its last or back, and give every
// step in the order of time or only the one that they end with. A vector is the same
// at every step. What is beyond a sequence is not looked at, and sequences leave the
// group at their length.
func TestScans(t *testing.T) {
	t.Parallel()
	one, two := &summing{inputs: 1}, &summing{inputs: 2}
	scan := func(name string, reverse, last bool) network.Stage {
		return network.Stage{Name: name, Op: network.Scan, Inputs: []string{"x"}, Graph: one.graph(), Reverse: reverse, Last: last}
	}
	again := network.Stage{Name: "again", Op: network.Scan, Inputs: []string{"last", "first"}, Graph: two.graph()}
	sum := network.Stage{Name: "sum", Op: network.WeightedSum, Inputs: []string{"x", "backward"}}
	for _, c := range []struct {
		name   string
		stages []network.Stage
		want   []float32
		steps  []int
		kept   int // values for one sequence
	}{
		{"forward", []network.Stage{scan("out", false, false)}, []float32{1, 1, 1, 1, 11, 11, 0, 11, 0, 111, 0, 111}, []int{4, 3, 2}, 0},
		{"reverse", []network.Stage{scan("out", true, false)}, []float32{11, 111, 1, 111, 10, 110, 0, 110, 0, 100, 0, 100}, []int{4, 3, 2}, 0},
		{"the last of forward", []network.Stage{scan("out", false, true)}, []float32{11, 111, 1, 111}, []int{4, 3, 2}, 0},
		{"the last of reverse", []network.Stage{scan("out", true, true)}, []float32{11, 111, 1, 111}, []int{4, 3, 2}, 0},
		// Prefix sums, to each of which the last one is added at every step.
		{"with a vector", []network.Stage{scan("last", false, true), scan("first", false, false), again},
			[]float32{12, 112, 2, 112, 34, 234, 0, 234, 0, 456, 0, 456}, []int{4, 3, 2, 4, 3, 2}, 1 + 3},
		// 1·11 + 10·10 and 1·111 + 10·110 + 100·100.
		{"weighted sum", []network.Stage{scan("backward", true, false), sum}, []float32{111, 11211, 1, 11211}, []int{4, 3, 2}, 3 + 1},
	} {
		one.steps = nil
		output := c.stages[len(c.stages)-1].Name
		n := features(output, c.stages...)
		if err := n.Validate(nil); err != nil {
			t.Fatal(err)
		}
		p := New(n, map[string]Graph{"out": one, "last": one, "first": one, "backward": one, "again": two}, nil)
		batch := powers(n)
		got := slices.Repeat([]float32{-1}, len(batch.Targets))
		if _, err := p.NewExecution().Execute(t.Context(), backend.Execute{Batch: batch, Outputs: got}, 1, 4); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if !slices.Equal(one.steps, c.steps) {
			t.Errorf("%s: steps of %v sequences, want %v", c.name, one.steps, c.steps)
		}
		if got := p.KeptBytes(batch.Steps); got != 4*c.kept {
			t.Errorf("%s: %d bytes between stages, want %d", c.name, got, 4*c.kept)
		}
	}
}

// A sequence without a target is run only where its logits are asked for or its
// state goes on.
func TestFillingIsNotRun(t *testing.T) {
	t.Parallel()
	g := &summing{inputs: 1}
	n := features("out", network.Stage{Name: "out", Op: network.Scan, Inputs: []string{"x"}, Graph: g.graph()})
	for _, c := range []struct {
		name  string
		fresh []int32
		room  int
		want  []int // sequences a step
	}{
		{"scored alone", nil, 0, []int{3, 2, 1}},
		{"with outputs", nil, 12, []int{4, 3, 2}},
		{"carried", []int32{1, 1, 1, 1}, 0, []int{4, 3, 2}},
	} {
		g.steps = nil
		batch := powers(n)
		batch.Fresh = c.fresh
		request := backend.Execute{Batch: batch}
		if c.room > 0 {
			request.Outputs = make([]float32, c.room)
		}
		score, err := New(n, map[string]Graph{"out": g}, nil).NewExecution().Execute(t.Context(), request, 1, 4)
		if err != nil || score.Count != 6 {
			t.Errorf("%s: %d targets, %v; want 6", c.name, score.Count, err)
		}
		if !slices.Equal(g.steps, c.want) {
			t.Errorf("%s: steps of %v sequences, want %v", c.name, g.steps, c.want)
		}
	}
}

// States go on from one batch to the next for each place that is not fresh, of
// forward scans alone; a place that was not in the batch before keeps its own.
func TestCarriedStates(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		g := &summing{inputs: 1}
		n := features("out", network.Stage{Name: "out", Op: network.Scan, Inputs: []string{"x"}, Graph: g.graph(), Last: true, Reverse: reverse})
		e := New(n, map[string]Graph{"out": g}, nil).NewExecution()
		for _, c := range []struct {
			fresh         []int32
			fails         bool
			want, reverse []float32
		}{
			{fresh: []int32{0, 1, 0, 1}, want: []float32{11, 111, 1, 111}, reverse: []float32{11, 111, 1, 111}},
			{fresh: []int32{0, 0, 1, 0}, want: []float32{22, 222, 1, 222}, reverse: []float32{11, 111, 1, 111}},
			{fresh: []int32{0, 0}, want: []float32{33, 333}, reverse: []float32{11, 111}},
			{fresh: []int32{0, 0, 0, 0}, fails: true},
			{fresh: []int32{0, 0, 0, 0}, want: []float32{44, 444, 2, 333}, reverse: []float32{11, 111, 1, 111}},
			{want: []float32{11, 111, 1, 111}, reverse: []float32{11, 111, 1, 111}},
			{fresh: []int32{0, 0, 0, 0}, want: []float32{11, 111, 1, 111}, reverse: []float32{11, 111, 1, 111}},
		} {
			batch := powers(n)
			if sequences := len(c.fresh); sequences == 2 {
				batch = n.Shape(2, map[string]int{"t": 3}, true).Allocate()
				copy(batch.Int32["lengths"], []int32{2, 3})
				copy(batch.Float32["x"], []float32{1, 1, 10, 10, 1000, 100})
			}
			batch.Fresh = c.fresh
			broken := errors.New("broken")
			if g.fails = nil; c.fails {
				g.steps = nil
				g.fails = func(step int) error {
					if step == 2 {
						return broken
					}
					return nil
				}
			}
			got := make([]float32, batch.Sequences)
			_, err := e.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: got}, 1, 1)
			if c.fails {
				if !errors.Is(err, broken) {
					t.Errorf("error %v, want that of the machine", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if reverse {
				want = c.reverse
			}
			if !slices.Equal(got, want) {
				t.Errorf("fresh %v, reverse %v: got %v, want %v", c.fresh, reverse, got, want)
			}
		}
	}
}

// Execute stops in the middle of a scan.
func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := &summing{inputs: 1, fails: func(step int) error {
		if step == 1 {
			cancel()
		}
		return nil
	}}
	n := features("out", network.Stage{Name: "out", Op: network.Scan, Inputs: []string{"x"}, Graph: g.graph()})
	_, err := New(n, map[string]Graph{"out": g}, nil).NewExecution().Execute(ctx, backend.Execute{Batch: powers(n)}, 1, 4)
	if !errors.Is(err, context.Canceled) || len(g.steps) != 2 {
		t.Errorf("error %v after %d steps, want %v after 2", err, len(g.steps), context.Canceled)
	}
}

func TestGroupSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ most, sequences, workers, bytes, want int }{
		{32, 1000, 2, 0, 32},
		{32, 33, 2, 0, 17},
		{32, 0, 2, 0, 1},
		{1, 1000, 2, 4, 1},
		{32, 1000, 2, 64 << 20 / 5, 5},
		{32, 1000, 2, 64<<20 + 4, 1},
	} {
		if got := groupSize(c.most, c.sequences, c.workers, c.bytes); got != c.want {
			t.Errorf("%+v: groups of %d, want %d", c, got, c.want)
		}
	}
}
