package sample_test

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Programs run, each call makes the same ones, and their logits depend on what
// enters and tell classes apart: a backend that computes something else shows.
func TestPrograms(t *testing.T) {
	t.Parallel()
	const sequences = 5
	names := map[string]bool{}
	again := sample.Programs()
	for k, p := range sample.Programs() {
		if names[p.Name] || p.Name == "" {
			t.Errorf("the name %q is empty or taken twice", p.Name)
		}
		names[p.Name] = true
		if !reflect.DeepEqual(p, again[k]) || !reflect.DeepEqual(p.Batch(sequences, 1), again[k].Batch(sequences, 1)) {
			t.Errorf("%s: a second call makes another program or batch", p.Name)
		}
		r, err := network.NewReference(p.Network, p.Weights)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		var runs [][]float64
		for number := range 2 {
			b := p.Batch(sequences, number)
			if err := b.Check(p.Shape(sequences)); err != nil {
				t.Fatalf("%s: batch %d: %v", p.Name, number, err)
			}
			logits, err := r.Run(b)
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			runs = append(runs, logits)
			if !b.Scored(0) || b.Scored(1) || !slices.Contains(b.Targets, -1) {
				t.Errorf("%s: batch %d has the targets %v, want some of the first sequence and none of the second", p.Name, number, b.Targets)
			}
			if p.Carried && (slices.Contains(b.Fresh, 0) != (number > 0)) {
				t.Errorf("%s: batch %d has fresh %v, want all in batch 0 alone", p.Name, number, b.Fresh)
			}
		}
		if d := spread(runs[0]); d < 0.1 || d > 10 {
			t.Errorf("%s: the logits spread by %v, want around 1", p.Name, d)
		}
		differences := make([]float64, len(runs[0]))
		for i := range differences {
			differences[i] = runs[0][i] - runs[1][i]
		}
		if d := spread(differences); d < 0.05 {
			t.Errorf("%s: the logits of two batches differ by %v, want them to depend on what enters", p.Name, d)
		}
	}
}

func spread(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(values)))
}

// No value that a program rounds comes near the middle between two levels: a backend in
// single precision rounds it as the reference does.
func TestRoundedValuesAreClear(t *testing.T) {
	t.Parallel()
	const clear = 1e-4
	rounds := 0
	for _, p := range sample.Programs() {
		for _, s := range p.Network.Stages {
			for _, n := range s.Graph.Nodes {
				if n.Op != stepgraph.Round {
					continue
				}
				if len(p.Network.Stages) > 1 || !p.Carried {
					t.Fatalf("%s: this test runs one scan from one batch to the next", p.Name)
				}
				rounds++
				for _, sequences := range []int{3, 5, 37} {
					states := make([]*stepgraph.Reference, sequences)
					for number := range 3 {
						b := p.Batch(sequences, number)
						for i := range sequences {
							if b.Fresh[i] == 1 {
								var err error
								if states[i], err = stepgraph.NewReference(s.Graph, p.Weights); err != nil {
									t.Fatal(err)
								}
							}
							for step := range p.Steps["sequence"] {
								if _, err := states[i].Step(stepgraph.Value{Token: int(b.Int32[s.Inputs[0]][step*sequences+i])}); err != nil {
									t.Fatal(err)
								}
								for j, v := range states[i].Values()[n.Inputs[0]] {
									if stepgraph.Rounded(v-clear, n.Bits) != stepgraph.Rounded(v+clear, n.Bits) {
										t.Errorf("%s: element %d of %s at step %d of sequence %d of %d in batch %d is %v, within %v of where rounding to %d bits changes; choose another seed", p.Name, j, n.Name, step, i, sequences, number, v, clear, n.Bits)
									}
								}
							}
						}
					}
				}
			}
		}
	}
	if rounds == 0 {
		t.Error("no program rounds")
	}
}

// Every operation, role and width of weight that the contract has is in a program.
func TestProgramsCoverTheContract(t *testing.T) {
	t.Parallel()
	missing := map[any]bool{}
	for _, of := range [][]any{
		{network.Scan, network.Softmax, network.WeightedSum, "reverse", "last", "once", "carried", "per row"},
		{network.Tokens, network.Features, network.Lengths, network.Candidates},
		{stepgraph.MatVec, stepgraph.Lookup, stepgraph.Add, stepgraph.Mul, stepgraph.Sigmoid, stepgraph.Tanh, stepgraph.ScaleShift, stepgraph.Slice, stepgraph.Concat, stepgraph.Normalize, stepgraph.Round},
		{1, 2, 3, 4, packed.FullPrecision, "two planes"},
	} {
		for _, what := range of {
			missing[what] = true
		}
	}
	found := func(what any, there bool) {
		if there {
			delete(missing, what)
		}
	}
	for _, p := range sample.Programs() {
		found("carried", p.Carried)
		for _, in := range p.Network.Inputs {
			found(in.Role, true)
		}
		for _, s := range p.Network.Stages {
			found(s.Op, true)
			found("reverse", s.Reverse)
			found("last", s.Last)
			found("once", p.Network.Along(s) == "")
			for _, n := range s.Graph.Nodes {
				found(n.Op, true)
			}
		}
		for _, m := range p.Weights {
			found(m.Bits(), true)
			found("two planes", len(m.Planes) == 2)
			found("per row", slices.ContainsFunc(m.Planes, func(p packed.Plane) bool { return len(p.Scales) > 1 }))
		}
	}
	if len(missing) > 0 {
		t.Errorf("no program has %v", missing)
	}
}
