// Package program runs the stages of a network (package network) over batches, on
// step graphs that a backend has compiled: what stands between the stages, who runs
// when, what is carried, and the score. A backend brings the machine that runs one
// time step of one graph.
//
// # Order of work
//
// Sequences are put in groups, longest first, and each group goes through all stages
// on one worker. A scan of a group runs a time step of all its sequences at once:
// step s is the s-th that each of them has, of a reverse scan counted from its own
// last one, and a sequence leaves at its length. Sequences do not depend on each
// other: no result depends on groups or workers. Losses are summed for each sequence
// in the order of its scan, then over the sequences in their order.
//
// # Memory
//
// What a scan gives is kept only where a later stage reads it, as float32, for the
// group that a worker has at hand. Logits are scored where they are made, one step at
// a time.
//
// # Carried state
//
// For each place in the batch and each forward scan along a stream, the states and
// the position in tables are kept from one Execute to the next where the batch says
// which sequences are fresh. A batch that does not say it starts all of them fresh,
// and forgets what was kept. An Execute that fails leaves what was kept as it was.
package program

import "bittern/plugins/network"

// Graph is a step graph that is ready to run. Any number of goroutines may make
// machines of it.
type Graph interface {
	// NewMachine makes a machine for so many sequences side by side.
	NewMachine(sequences int) Machine
}

// Machine runs a step graph on sequences side by side, which are numbered from 0.
// Values are float32; a machine that keeps others takes those of its own outputs and
// states back without a loss.
type Machine interface {
	// Reset puts a sequence before its first time step.
	Reset(sequence int)
	// SetToken and SetVector give an input of the graph its value for a sequence,
	// which it has until it is given another.
	SetToken(input, sequence int, token int32)
	SetVector(input, sequence int, x []float32)
	// Step runs one time step of the first sequences.
	Step(sequences int) error
	// Output is what the last step of a sequence gave out. It is valid until
	// the machine is called again.
	Output(sequence int) []float32
	// Save says where a sequence stands, in memory of its own; Restore puts a
	// sequence there.
	Save(sequence int) State
	Restore(sequence int, state State)
}

// State is where a sequence stands.
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

// stage is one of the network's, prepared.
type stage struct {
	network.Stage
	graph  Graph  // of a scan
	along  string // the stream; empty where it is run once
	inputs []source
	value  network.Value
	kept   bool // a later stage reads it, or it is made in memory
	output bool // it gives out the logits
}

// source is where a stage finds an input: an input of the network by its name, or
// an earlier stage.
type source struct {
	input    string // empty for a stage
	token    bool
	stage    int
	size     int
	sequence bool // has a value at each step
}

// New prepares a network, which must be valid, of the graphs of its scans by the
// names of the stages.
func New(n network.Network, graphs map[string]Graph) *Program {
	p := &Program{network: n, classes: n.Classes()}
	values, numbers := n.Values(), map[string]int{}
	for i, s := range n.Stages {
		prepared := stage{Stage: s, graph: graphs[s.Name], along: n.Along(s), value: values[s.Name], kept: s.Op != network.Scan, output: s.Name == n.Output}
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

// KeptBytes is the memory of the values between stages, for one sequence with so
// many steps of each stream.
func (p *Program) KeptBytes(steps map[string]int) int {
	bytes := 0
	for _, s := range p.stages {
		if s.kept {
			bytes += 4 * s.value.Size * rows(s.value, steps)
		}
	}
	return bytes
}

// rows is how many vectors a value is of, for a sequence with so many steps.
func rows(v network.Value, steps map[string]int) int {
	if v.Stream == "" {
		return 1
	}
	return steps[v.Stream]
}
