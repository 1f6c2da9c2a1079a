// Package network describes a deployed network as a small program over whole
// sequences. A model exports it, and a backend costs or executes it without
// knowing which model it came from.
//
// A program is a list of stages. Most of them scan a step graph (package stepgraph) along a
// stream; the others work on the output of a scan. Every value between stages is either a
// sequence, with one vector for each step of a stream, or a single vector. The simplest
// program is one graph that is scanned forward:
//
//	language model       scan(lstm) → logits at every step
//	classifier           scan(lstm), its last step → logits, once
//	bidirectional        scan(forward), scan(backward), their last steps → logits, once
//	attention            scan(score) → softmax over the steps → weighted sum → logits, once
//
// # Streams
//
// A stream is a run of time steps that inputs share: their values at step t belong together.
// A network that reads a text and a question has two. A batch has a fixed number of steps of
// each. If a stream has lengths, the steps of a sequence beyond its length only fill up the
// batch, and no stage looks at them.
//
// # Carried state
//
// Each sequence of a batch either starts fresh, from the states' initial values and at the
// first row of tables, or goes on from the states and the rows in which the sequence at the
// same place of the previous batch ended. A reverse scan always starts fresh.
//
// # Batches
//
// Everywhere in the contract a batch is laid out time-major: tokens [steps,
// sequences], features [steps, sequences, size], lengths [sequences], candidates
// [sequences, classes], targets [steps, sequences] or [sequences].
package network

import "bittern/plugins/stepgraph"

// Network is a program.
type Network struct {
	Model  string  `json:"model"`
	Inputs []Input `json:"inputs"`
	Stages []Stage `json:"stages"` // each after those it reads
	// Output names the stage whose value is the logits: a sequence if there is a target at
	// each step of its stream, or else a vector. The reader of the logits takes the softmax
	// over them; its cost is counted nowhere.
	Output string `json:"output"`
}

// Role says what an input is.
type Role string

// The roles of inputs.
const (
	Tokens   Role = "tokens"   // int32 a step, from 0 to Size−1
	Features Role = "features" // Size float32 a step
	// Lengths are the numbers of steps that each sequence has of its stream, counted from
	// the first: int32 a sequence, from 1 to the steps of the stream.
	Lengths Role = "lengths"
	// Candidates are the classes to choose from: Size int32 a sequence, 1 for a class that
	// is a candidate, 0 for a class whose probability is 0.
	Candidates Role = "candidates"
)

// Input is what enters with each sequence. A stream has at most one input of lengths, and a
// network at most one of candidates.
type Input struct {
	Name   string `json:"name"`
	Role   Role   `json:"role"`
	Stream string `json:"stream,omitempty"` // empty for candidates
	Size   int    `json:"size"`             // 1 for lengths
}

// Op is what a stage does.
type Op string

// The operations of stages.
const (
	// Scan runs a step graph along a stream. Its inputs, in the order of the graph's, are
	// sequences of one stream, and vectors, which are the same at every step. If none of
	// them is a sequence, the graph is run once and has no states.
	Scan Op = "scan"
	// Softmax takes the softmax over the steps of a sequence of one value a
	// step: e^x / Σe^x.
	Softmax Op = "softmax"
	// WeightedSum sums the vectors of its second input over the steps, each
	// times the value of its first, a sequence of one value a step.
	WeightedSum Op = "weighted-sum"
)

// Stage is one operation on whole sequences.
type Stage struct {
	Name   string   `json:"name"`
	Op     Op       `json:"op"`
	Inputs []string `json:"inputs"` // of the network, or earlier stages

	// Graph, Reverse and Last belong to scans. Reverse goes from the last step of each
	// sequence to its first. With Last the value is a vector, the output of the step that
	// the scan ends with; without, it is a sequence, the outputs of all steps in order of
	// time.
	Graph   stepgraph.Graph `json:"graph,omitzero"`
	Reverse bool            `json:"reverse,omitempty"`
	Last    bool            `json:"last,omitempty"`
}

// Scanned makes the simplest program of a graph with one input: it scans the graph forward
// along the stream "sequence", and its output is logits at every step.
func Scanned(model string, g stepgraph.Graph) Network {
	in := g.Inputs[0]
	role := Features
	if in.Token {
		role = Tokens
	}
	return Network{
		Model:  model,
		Inputs: []Input{{Name: in.Name, Role: role, Stream: "sequence", Size: in.Size}},
		Stages: []Stage{{Name: "scan", Op: Scan, Inputs: []string{in.Name}, Graph: g}},
		Output: "scan",
	}
}

// Input returns the input of that name.
func (n Network) Input(name string) (Input, bool) {
	for _, in := range n.Inputs {
		if in.Name == name {
			return in, true
		}
	}
	return Input{}, false
}

// Streams lists the streams in the order of the inputs.
func (n Network) Streams() []string { return streams(n.Inputs) }

func streams(inputs []Input) []string {
	var list []string
	seen := map[string]bool{"": true}
	for _, in := range inputs {
		if !seen[in.Stream] {
			seen[in.Stream] = true
			list = append(list, in.Stream)
		}
	}
	return list
}

// Value is the shape of an input or of a stage's value: Size numbers at every step of Stream
// or, if Stream is empty, once.
type Value struct {
	Stream string
	Size   int
}

// Values returns the shapes of all inputs and stages by name. If the network is not valid
// some may be empty.
func (n Network) Values() map[string]Value {
	values := map[string]Value{}
	for _, in := range n.Inputs {
		values[in.Name] = Value{in.Stream, in.Size}
	}
	for _, s := range n.Stages {
		values[s.Name] = s.value(values)
	}
	return values
}

// value is the shape of what the stage gives, from those of its inputs.
func (s Stage) value(known map[string]Value) Value {
	switch {
	case s.Op == Softmax && len(s.Inputs) == 1:
		return known[s.Inputs[0]]
	case s.Op == WeightedSum && len(s.Inputs) == 2:
		return Value{Size: known[s.Inputs[1]].Size}
	}
	v := Value{Stream: s.stream(known), Size: s.Graph.Sizes()[s.Graph.Output]}
	if s.Last {
		v.Stream = ""
	}
	return v
}

// stream is the one that the stage works along; empty where it is run once.
func (s Stage) stream(known map[string]Value) string {
	for _, name := range s.Inputs {
		if stream := known[name].Stream; stream != "" {
			return stream
		}
	}
	return ""
}

// Along returns the stream that a stage works along, or nothing if the stage is run once.
func (n Network) Along(s Stage) string { return s.stream(n.Values()) }

// Targets is the stream that has a target at each of its steps, or nothing if there is one
// target a sequence.
func (n Network) Targets() string { return n.Values()[n.Output].Stream }

// Classes is the number of logits.
func (n Network) Classes() int { return n.Values()[n.Output].Size }

// lengths is the input that has the lengths of a stream.
func lengths(inputs []Input, stream string) (Input, bool) {
	for _, in := range inputs {
		if in.Role == Lengths && in.Stream == stream {
			return in, true
		}
	}
	return Input{}, false
}

// candidates is the input of that role.
func candidates(inputs []Input) (Input, bool) {
	for _, in := range inputs {
		if in.Role == Candidates {
			return in, true
		}
	}
	return Input{}, false
}
