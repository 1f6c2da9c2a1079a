package datapath

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"

	"bittern/internal/sample"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	networks "bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// A graph that is scanned forward gives the very bits that it gave when a program was
// one graph: the hashes are of outputs of that time.
func TestOutputsOfOneGraphStay(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]sample.LSTM{
		"9977bf6587408578": {Units: 65, Inputs: 31, Outputs: 33, Steps: 7, Format: sample.Binary, Seed: 11},
		"c5ae3c84a370d352": {Units: 64, Inputs: 7, Outputs: 5, Steps: 3, Format: sample.PerRow(sample.Ternary), Seed: 11},
		"fc415165b111a5fe": {Units: 70, Inputs: 21, Outputs: 87, Steps: 2, Seed: 11},
	} {
		g, weights := c.Build()
		hash := fnv.New64a()
		if err := binary.Write(hash, binary.LittleEndian, run(t, compile(t, g, weights), randomTokens(77*30, c.Inputs, 3), 77)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", hash.Sum64()); got != want {
			t.Errorf("the outputs of %d units have the hash %s, want %s", c.Units, got, want)
		}
	}
}

// No result depends on the workers or on how sequences are grouped, also where
// sequences of a group stand at different rows of the tables.
func TestGroupsAndWorkersChangeNothing(t *testing.T) {
	t.Parallel()
	for _, p := range networks.Programs() {
		program, err := Compile(p.Network, p.Weights, 3)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			const sequences, batches = 23, 3
			type result struct {
				score   network.Score
				outputs []float32
			}
			var want []result
			for _, c := range []struct{ workers, group int }{{1, 1}, {1, 23}, {3, 4}, {2, 7}} {
				e := program.NewExecution()
				for number := range batches {
					batch := p.Batch(sequences, number)
					got := result{outputs: make([]float32, len(batch.Targets)*p.Network.Classes())}
					got.score, err = e.Execution.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: got.outputs}, c.workers, c.group)
					if err != nil {
						t.Fatal(err)
					}
					if len(want) <= number {
						want = append(want, got)
					}
					if got.score != want[number].score || !slices.Equal(got.outputs, want[number].outputs) {
						t.Errorf("batch %d with %d workers and groups of %d: %+v, one by one %+v", number, c.workers, c.group, got.score, want[number].score)
					}
				}
			}
		})
	}
}

// What a graph gives enters the next one in its own format: 12 bits of the sigmoid
// of the first, 24 of a sum after the recurrent part, where features are rounded to
// the steps of the option.
func TestFormatsBetweenGraphs(t *testing.T) {
	t.Parallel()
	copied := graph(1, "y", stepgraph.Node{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: 1})
	for name, c := range map[string]struct {
		first stepgraph.Node
		want  format
		bound float64
	}{
		"activation":  {stepgraph.Node{Name: "y", Op: stepgraph.Sigmoid, Inputs: []string{"x"}, Size: 1}, format{12, 11}, 1},
		"accumulator": {stepgraph.Node{Name: "y", Op: stepgraph.ScaleShift, Inputs: []string{"x"}, Size: 1, Scale: stepgraph.Table{Rows: 1, Values: []float32{1.0 / 16}}}, accumulator, math.Inf(1)},
		"feature":     {copied.Nodes[0], format{12, 8}, math.Inf(1)},
	} {
		n := network.Scanned("test", graph(1, "y", c.first))
		n.Stages = append(n.Stages, network.Stage{Name: "copy", Op: network.Scan, Inputs: []string{"scan"}, Graph: copied})
		n.Output = "copy"
		p, err := Compile(n, nil, 3)
		if err != nil {
			t.Fatal(err)
		}
		second := p.Graphs[1]
		if second.inputs[0].format != c.want || second.bound != c.bound {
			t.Errorf("%s: the second graph reads %+v up to %v, want %+v up to %v", name, second.inputs[0].format, second.bound, c.want, c.bound)
		}
		x := []float32{0.3, -1.7, 5.1}
		want := dense(t, compiled{p, p.Graphs[0]}, x...)
		if alone := dense(t, compile(t, graph(1, "y", c.first), nil), x...); !slices.Equal(want, alone) {
			t.Errorf("%s: through a copy %v, without it %v", name, want, alone)
		}
	}
}

// The recurrent weights of all graphs choose one column, and a weight that two
// graphs share is stored once.
func TestWeightsOfSeveralGraphs(t *testing.T) {
	t.Parallel()
	ternary := codes(t, 2, []float32{0.5}, []float32{-1, 0, 1}, 0, 1, 1, 2)
	binary := codes(t, 1, []float32{0.5}, []float32{-1, 1}, 0, 1, 1, 1)
	product := func(weight string) stepgraph.Graph {
		return graph(2, "y", stepgraph.Node{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 2, Weight: weight, Recurrent: true})
	}
	n := network.Scanned("test", product("b"))
	n.Stages = append(n.Stages,
		network.Stage{Name: "second", Op: network.Scan, Inputs: []string{"scan"}, Graph: product("t")},
		network.Stage{Name: "third", Op: network.Scan, Inputs: []string{"second"}, Graph: product("b")})
	n.Output = "third"
	p, err := Compile(n, map[string]packed.Matrix{"b": binary, "t": ternary}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if p.Recurrent != Ternary || len(p.Substitutions) != 1 || p.Substitutions[0].Weight != "b" {
		t.Errorf("the column is %v with %+v, want ternary, and b substituted once", p.Recurrent, p.Substitutions)
	}
	var bits []int
	for _, g := range p.Graphs {
		bits = append(bits, g.Work[0].WeightBits)
	}
	if !slices.Equal(bits, []int{8, 8, 0}) {
		t.Errorf("the graphs store %v bits of weights, want 8, 8 and what is stored", bits)
	}
}
