package network

import (
	"fmt"
	"math"

	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Reference runs a program in plain Go, with every value and sum in float64. Backends are
// compared with it. It is slow, and serves one caller at a time.
type Reference struct {
	network Network
	weights map[string]packed.Matrix
	values  map[string]Value
	// scans are the step graphs by stage, one for each place in a batch, so
	// that a sequence can go on where it ended.
	scans map[string][]*stepgraph.Reference
}

// NewReference prepares a network, which must pass [Network.Validate].
func NewReference(n Network, weights map[string]packed.Matrix) (*Reference, error) {
	if err := n.Validate(weights); err != nil {
		return nil, err
	}
	return &Reference{network: n, weights: weights, values: n.Values(), scans: map[string][]*stepgraph.Reference{}}, nil
}

// Run returns the logits of a batch, laid out as it is: [steps, sequences, classes]
// or [sequences, classes]. Those of steps beyond a sequence's length are 0. A batch without
// Fresh carries no state on: all sequences of the next one start fresh.
func (r *Reference) Run(b Batch) ([]float64, error) {
	n := r.network
	if err := b.Check(n.Shape(b.Sequences, b.Steps, b.Fresh != nil)); err != nil {
		return nil, err
	}
	steps, classes := 1, n.Classes()
	if stream := n.Targets(); stream != "" {
		steps = b.Steps[stream]
	}
	logits := make([]float64, steps*b.Sequences*classes)
	for i := range b.Sequences {
		known := map[string][][]float64{}
		for _, in := range n.Inputs {
			if in.Role == Tokens || in.Role == Features {
				known[in.Name] = r.input(in, b, i)
			}
		}
		for _, s := range n.Stages {
			value, err := r.stage(s, b, i, known)
			if err != nil {
				return nil, fmt.Errorf("stage %q: %w", s.Name, err)
			}
			known[s.Name] = value
		}
		for t, row := range known[n.Output] {
			copy(logits[(t*b.Sequences+i)*classes:], row)
		}
	}
	if b.Fresh == nil {
		for _, machines := range r.scans {
			for _, machine := range machines {
				machine.Reset()
			}
		}
	}
	return logits, nil
}

// Score runs a batch and scores its targets. The loss is that of [Score.Target],
// from logits in float64.
func (r *Reference) Score(b Batch) (Score, error) {
	logits, err := r.Run(b)
	if err != nil {
		return Score{}, err
	}
	var sum Score
	classes := r.network.Classes()
	for i, target := range b.Targets {
		addTarget(&sum, logits[i*classes:][:classes], target, b.Candidates(r.network.Inputs, i%b.Sequences))
	}
	return sum, nil
}

// input is one sequence of an input, a row for each step that it has.
func (r *Reference) input(in Input, b Batch, sequence int) [][]float64 {
	rows := make([][]float64, b.Length(r.network.Inputs, in.Stream, sequence))
	for t := range rows {
		if in.Role == Tokens {
			rows[t] = []float64{float64(b.Int32[in.Name][t*b.Sequences+sequence])}
			continue
		}
		rows[t] = make([]float64, in.Size)
		for j := range in.Size {
			rows[t][j] = float64(b.Float32[in.Name][(t*b.Sequences+sequence)*in.Size+j])
		}
	}
	return rows
}

func (r *Reference) stage(s Stage, b Batch, sequence int, known map[string][][]float64) ([][]float64, error) {
	switch s.Op {
	case Softmax:
		return softmax(known[s.Inputs[0]]), nil
	case WeightedSum:
		return weightedSum(known[s.Inputs[0]], known[s.Inputs[1]]), nil
	}
	machine, err := r.machine(s, sequence)
	if err != nil {
		return nil, err
	}
	stream := s.stream(r.values)
	if b.Starts(sequence) || s.Reverse || stream == "" {
		machine.Reset()
	}
	steps := 1
	if stream != "" {
		steps = b.Length(r.network.Inputs, stream, sequence)
	}
	rows := make([][]float64, steps)
	for i := range steps {
		t := i
		if s.Reverse {
			t = steps - 1 - i
		}
		if rows[t], err = machine.Step(r.operands(s, t, known)...); err != nil {
			return nil, err
		}
		if s.Last && i == steps-1 {
			return rows[t : t+1], nil
		}
	}
	return rows, nil
}

// machine is the step graph of a stage for one place in the batch.
func (r *Reference) machine(s Stage, place int) (*stepgraph.Reference, error) {
	for len(r.scans[s.Name]) <= place {
		weights := map[string]packed.Matrix{}
		for _, node := range s.Graph.Nodes {
			if m, given := r.weights[node.Weight]; given {
				weights[node.Weight] = m
			}
		}
		machine, err := stepgraph.NewReference(s.Graph, weights)
		if err != nil {
			return nil, err
		}
		r.scans[s.Name] = append(r.scans[s.Name], machine)
	}
	return r.scans[s.Name][place], nil
}

// operands are the graph's inputs at step t; a vector is the same at each.
func (r *Reference) operands(s Stage, t int, known map[string][][]float64) []stepgraph.Value {
	operands := make([]stepgraph.Value, len(s.Inputs))
	for i, name := range s.Inputs {
		at := t
		if r.values[name].Stream == "" {
			at = 0
		}
		row := known[name][at]
		if s.Graph.Inputs[i].Token {
			operands[i].Token = int(row[0])
		} else {
			operands[i].Vector = row
		}
	}
	return operands
}

func softmax(x [][]float64) [][]float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, row := range x {
		largest = max(largest, row[0])
	}
	rows := make([][]float64, len(x))
	for t, row := range x {
		rows[t] = []float64{math.Exp(row[0] - largest)}
		sum += rows[t][0]
	}
	for t := range rows {
		rows[t][0] /= sum
	}
	return rows
}

func weightedSum(weights, x [][]float64) [][]float64 {
	sum := make([]float64, len(x[0]))
	for t, row := range x {
		for j, v := range row {
			sum[j] += weights[t][0] * v
		}
	}
	return [][]float64{sum}
}
