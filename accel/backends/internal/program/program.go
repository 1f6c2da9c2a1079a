// Package program runs the stages of a network (package network) over batches, on step
// graphs that a backend has compiled. It keeps the values between the stages, decides which
// sequences run when, carries states from batch to batch, and scores the outputs. A backend
// brings the machine that runs one time step of one graph.
//
// # Order of work
//
// Sequences are put in groups, longest first, and each group goes through all stages
// on one worker. A scan of a group runs one time step of all its sequences at once: step s
// is the s-th step of each sequence, which a reverse scan counts from the sequence's own
// last step. A sequence leaves the scan at the end of its length. Sequences do not depend on each
// other: no result depends on groups or workers. Losses are summed for each sequence
// in the order of its scan, then over the sequences in their order.
//
// # Memory
//
// The output of a scan is kept only if a later stage reads it, as float32, and for one
// group at a time. Logits are scored as soon as they are computed, step by step.
//
// # Carried state
//
// If the batch says which sequences are fresh, the states and the position in tables are
// kept from one Execute to the next, for each place in the batch and each forward scan along
// a stream. A batch that does not say so starts all sequences fresh and discards the kept
// states. An Execute that fails does not change them.
package program

import (
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/network"
)

// Graph is a step graph that is ready to run. Any number of goroutines may make
// machines of it.
type Graph interface {
	// NewMachine makes a machine for the given number of sequences side by side.
	NewMachine(sequences int) Machine
}

// Machine runs a step graph on sequences side by side, which are numbered from 0.
// Values are float32. A machine with values of another type must take back its own outputs
// and states without loss.
type Machine interface {
	// Reset puts a sequence before its first time step.
	Reset(sequence int)
	// SetToken and SetVector set the value of an input for a sequence. It stays until
	// it is set again.
	SetToken(input, sequence int, token int32)
	SetVector(input, sequence int, x []float32)
	// Step runs one time step of the first sequences; the others stay as they are.
	Step(sequences int) error
	// Output returns the output of a sequence's last step. It is valid until the machine
	// is called again.
	Output(sequence int) []float32
	// Save returns a copy of a sequence's state; Restore sets it.
	Save(sequence int) State
	Restore(sequence int, state State)
}

// Operation computes a stage over the steps of one sequence. x has a value for each step. A
// softmax gets no rows and writes a value for each step to y; a weighted sum writes
// Σ x[t]·rows[t] to y. It serves one caller at a time.
type Operation func(y, x []float32, rows [][]float32)

// inFloat32 are the operations of a backend that brings none of its own: in float32 and in
// the order of time.
var inFloat32 = map[network.Op]Operation{
	network.Softmax: func(y, x []float32, _ [][]float32) { vecmath.Softmax(y, x) },
	network.WeightedSum: func(y, x []float32, rows [][]float32) {
		clear(y)
		for t, weight := range x {
			vecmath.Axpy(y, weight, rows[t])
		}
	},
}

// State is the state of a sequence in a scan.
type State struct {
	Position int // time steps since it started fresh
	Values   []float32
}

// Program is a network whose graphs are compiled. It does not change.
type Program struct {
	network network.Network
	classes int
	stages  []stage
}

// stage is a stage of the network, prepared to run.
type stage struct {
	network.Stage
	graph Graph // of a scan
	// operation makes that of a softmax or a weighted sum.
	operation func() Operation
	along     string // the stream; empty where it is run once
	inputs    []source
	value     network.Value
	kept      bool // its value is kept: a later stage reads it, or it is computed in memory
	output    bool // its value is the logits
}

// source is where a stage finds an input: an input of the network by its name, or
// an earlier stage.
type source struct {
	input    string // empty for a stage
	token    bool
	stage    int
	size     int
	sequence bool // it has a value at each step
}

// New prepares a valid network. graphs are the compiled graphs of its scans by the names
// of their stages. operations make those of the other stages, one for each worker; a stage
// that has none there is computed in float32.
func New(n network.Network, graphs map[string]Graph, operations map[string]func() Operation) *Program {
	p := &Program{network: n, classes: n.Classes()}
	values, numbers := n.Values(), map[string]int{}
	for i, s := range n.Stages {
		prepared := stage{Stage: s, graph: graphs[s.Name], along: n.Along(s), value: values[s.Name], kept: s.Op != network.Scan, output: s.Name == n.Output}
		if prepared.operation = operations[s.Name]; prepared.operation == nil {
			prepared.operation = func() Operation { return inFloat32[s.Op] }
		}
		for _, name := range s.Inputs {
			from := source{size: values[name].Size, sequence: values[name].Stream != ""}
			if in, ok := n.Input(name); ok {
				from.input, from.token = name, in.Role == network.Tokens
			} else {
				from.stage = numbers[name]
				p.stages[from.stage].kept = true
			}
			prepared.inputs = append(prepared.inputs, from)
		}
		numbers[s.Name] = i
		p.stages = append(p.stages, prepared)
	}
	return p
}

// KeptBytes returns the memory of the values between stages, for one sequence with the
// given steps of each stream.
func (p *Program) KeptBytes(steps map[string]int) int {
	bytes := 0
	for _, s := range p.stages {
		if s.kept {
			bytes += 4 * s.value.Size * rows(s.value, steps)
		}
	}
	return bytes
}

// rows returns how many vectors a value has, for a sequence with the given steps.
func rows(v network.Value, steps map[string]int) int {
	if v.Stream == "" {
		return 1
	}
	return steps[v.Stream]
}
