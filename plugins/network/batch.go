package network

import (
	"fmt"
	"slices"
)

// Shape is what a model must know of the task that it is built for: how a batch is laid out,
// and what is predicted.
type Shape struct {
	Inputs    []Input
	Steps     map[string]int // time steps of each stream
	Sequences int            // in a batch
	Classes   int            // of the softmax
	// Targets is the stream that has a target at each of its steps; empty if there is one
	// target a sequence.
	Targets string
	// Carried says that sequences may go on from batch to batch, which each
	// batch says in Fresh.
	Carried bool
}

// Batch is what enters a network and, for training and scoring, what it should predict. The
// package comment says how the tensors are laid out.
type Batch struct {
	Sequences int
	Steps     map[string]int       // time steps of each stream
	Int32     map[string][]int32   // tokens, lengths and candidates by name
	Float32   map[string][]float32 // features by name
	// Fresh has a 1 for each sequence that starts fresh and a 0 for each that goes on. It is
	// nil if no state is carried: all sequences start fresh, and the states in which they
	// end are forgotten.
	Fresh []int32
	// Targets are classes, or −1 for no target: in the steps beyond a sequence's length and
	// in sequences that only fill up the batch.
	Targets []int32
}

// Tensor is one of the tensors of a batch.
type Tensor struct {
	Name    string
	Float32 bool // of elements that are float32, not int32
	Dims    []int
}

// The names of the tensors that are not inputs. No input may have one of them.
const (
	TensorFresh   = "fresh"
	TensorTargets = "targets"
)

// Tensors lists the tensors of a batch: the inputs in their order, Fresh if state is carried,
// and the targets.
func (s Shape) Tensors() []Tensor {
	var list []Tensor
	for _, in := range s.Inputs {
		t := Tensor{Name: in.Name, Float32: in.Role == Features}
		switch in.Role {
		case Tokens:
			t.Dims = []int{s.Steps[in.Stream], s.Sequences}
		case Features:
			t.Dims = []int{s.Steps[in.Stream], s.Sequences, in.Size}
		case Lengths:
			t.Dims = []int{s.Sequences}
		case Candidates:
			t.Dims = []int{s.Sequences, in.Size}
		}
		list = append(list, t)
	}
	if s.Carried {
		list = append(list, Tensor{Name: TensorFresh, Dims: []int{s.Sequences}})
	}
	targets := []int{s.Sequences}
	if s.Targets != "" {
		targets = []int{s.Steps[s.Targets], s.Sequences}
	}
	return append(list, Tensor{Name: TensorTargets, Dims: targets})
}

// TargetCount is how many targets a batch has room for.
func (s Shape) TargetCount() int {
	if s.Targets == "" {
		return s.Sequences
	}
	return s.Sequences * s.Steps[s.Targets]
}

// NewBatch lays out a batch in tensors that the two functions make; they get the name and the
// dimensions of each.
func (s Shape) NewBatch(int32s func(name string, dims []int) ([]int32, error), float32s func(name string, dims []int) ([]float32, error)) (Batch, error) {
	b := Batch{Sequences: s.Sequences, Steps: s.Steps, Int32: map[string][]int32{}, Float32: map[string][]float32{}}
	for _, t := range s.Tensors() {
		if t.Float32 {
			values, err := float32s(t.Name, t.Dims)
			if err != nil {
				return Batch{}, err
			}
			b.Float32[t.Name] = values
			continue
		}
		values, err := int32s(t.Name, t.Dims)
		if err != nil {
			return Batch{}, err
		}
		switch t.Name {
		case TensorFresh:
			b.Fresh = values
		case TensorTargets:
			b.Targets = values
		default:
			b.Int32[t.Name] = values
		}
	}
	return b, nil
}

// Allocate lays out a batch in memory of this process.
func (s Shape) Allocate() Batch {
	b, _ := s.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return make([]int32, elements(dims)), nil },
		func(_ string, dims []int) ([]float32, error) { return make([]float32, elements(dims)), nil },
	)
	return b
}

func elements(dims []int) int {
	n := 1
	for _, dim := range dims {
		n *= dim
	}
	return n
}

// Shape is that of a batch of the network.
func (n Network) Shape(sequences int, steps map[string]int, carried bool) Shape {
	return Shape{Inputs: n.Inputs, Steps: steps, Sequences: sequences, Classes: n.Classes(), Targets: n.Targets(), Carried: carried}
}

// Serves returns an error if the network, which must be valid, cannot read batches of the
// shape.
func (n Network) Serves(s Shape) error {
	if !slices.Equal(n.Inputs, s.Inputs) {
		return fmt.Errorf("the network takes the inputs %v, and the task has %v", n.Inputs, s.Inputs)
	}
	if got := n.Classes(); got != s.Classes {
		return fmt.Errorf("the network gives out %d logits for %d classes", got, s.Classes)
	}
	if got := n.Targets(); got != s.Targets {
		return fmt.Errorf("the network gives out logits %s, and the task has targets %s", often(got), often(s.Targets))
	}
	return nil
}

func often(stream string) string {
	if stream == "" {
		return "once a sequence"
	}
	return fmt.Sprintf("at every step of the stream %q", stream)
}

// Check returns an error if no batch can have the shape: it has no sequence, no class or no
// step, an input of an unknown role, two inputs of one name, or a stream with two inputs of
// lengths.
func (s Shape) Check() error {
	if s.Sequences < 1 || s.Classes < 1 {
		return fmt.Errorf("a batch of %d sequences and %d classes cannot be run; give at least 1 of each", s.Sequences, s.Classes)
	}
	known := map[string]Value{}
	for _, in := range s.Inputs {
		if err := in.check(s.Inputs, known); err != nil {
			return fmt.Errorf("input %q: %w", in.Name, err)
		}
		if in.Role == Candidates && in.Size != s.Classes {
			return fmt.Errorf("input %q: %d candidates are given for %d classes", in.Name, in.Size, s.Classes)
		}
	}
	all := streams(s.Inputs)
	for _, stream := range all {
		if s.Steps[stream] < 1 {
			return fmt.Errorf("the stream %q has %d steps; it must have at least 1", stream, s.Steps[stream])
		}
	}
	if s.Targets != "" && !slices.Contains(all, s.Targets) {
		return fmt.Errorf("there are targets for the stream %q, which no input has", s.Targets)
	}
	for _, t := range s.Tensors() {
		if n := 1; slices.ContainsFunc(t.Dims, func(dim int) bool { n *= dim; return n > mostElements || dim > mostElements }) {
			return fmt.Errorf("the tensor %s of the dimensions %v has more than %d elements", t.Name, t.Dims, mostElements)
		}
	}
	return nil
}

// mostElements bounds a tensor so that its elements can be counted: the product of
// two numbers within it is no overflow.
const mostElements = 1<<31 - 1

// Fits returns an error if the batch is not laid out for the shape, which it checks too: it
// has another number of sequences or steps, or a tensor is missing or has another length. It
// does not look at the tensors' elements.
func (b Batch) Fits(s Shape) error {
	if err := s.Check(); err != nil {
		return err
	}
	if b.Sequences != s.Sequences {
		return fmt.Errorf("the batch has %d sequences where %d are expected", b.Sequences, s.Sequences)
	}
	for _, stream := range streams(s.Inputs) {
		if got, want := b.Steps[stream], s.Steps[stream]; got != want {
			return fmt.Errorf("the batch has %d steps of the stream %q where %d are expected", got, stream, want)
		}
	}
	if b.Fresh != nil && !s.Carried {
		return fmt.Errorf("the batch says which sequences start fresh, and nothing is carried")
	}
	for _, t := range s.Tensors() {
		var got int
		switch {
		case t.Float32:
			got = len(b.Float32[t.Name])
		case t.Name == TensorFresh:
			got = len(b.Fresh)
		case t.Name == TensorTargets:
			got = len(b.Targets)
		default:
			got = len(b.Int32[t.Name])
		}
		if want := elements(t.Dims); got != want {
			return fmt.Errorf("the tensor %s has %d elements; its dimensions %v are %d", t.Name, got, t.Dims, want)
		}
	}
	return nil
}

// Check returns an error if the batch does not fit the shape (see [Batch.Fits]) or has an
// element that is out of bounds: a token beyond the vocabulary, a feature that is not finite,
// a length below 1 or above the steps of the stream, a sequence without a candidate, or a
// target that is not a class or lies beyond the sequence's length.
func (b Batch) Check(s Shape) error {
	if err := b.Fits(s); err != nil {
		return err
	}
	for _, in := range s.Inputs {
		if err := b.checkInput(in, s); err != nil {
			return fmt.Errorf("input %q: %w", in.Name, err)
		}
	}
	if err := within(b.Fresh, 0, 2, b.Sequences); err != nil {
		return fmt.Errorf("%s: %w", TensorFresh, err)
	}
	if err := within(b.Targets, -1, s.Classes, b.Sequences); err != nil {
		return fmt.Errorf("%s: %w", TensorTargets, err)
	}
	return b.checkFilling(s)
}

// checkFilling refuses targets of steps that a sequence does not have.
func (b Batch) checkFilling(s Shape) error {
	in, ok := lengths(s.Inputs, s.Targets)
	if !ok {
		return nil // every sequence has all steps, or there is one target a sequence
	}
	for i, target := range b.Targets {
		step, sequence := i/b.Sequences, i%b.Sequences
		if length := b.Int32[in.Name][sequence]; target >= 0 && step >= int(length) {
			return fmt.Errorf("%s: step %d of sequence %d has the target %d, and the sequence has %d steps; a step that it has not has the target −1",
				TensorTargets, step, sequence, target, length)
		}
	}
	return nil
}

func (b Batch) checkInput(in Input, s Shape) error {
	switch in.Role {
	case Tokens:
		return within(b.Int32[in.Name], 0, in.Size, b.Sequences)
	case Features:
		row := b.Sequences * in.Size
		for i, x := range b.Float32[in.Name] {
			if x-x != 0 {
				return fmt.Errorf("feature %d of step %d of sequence %d is %v", i%in.Size, i/row, i%row/in.Size, x)
			}
		}
	case Lengths:
		return within(b.Int32[in.Name], 1, s.Steps[in.Stream]+1, b.Sequences)
	case Candidates:
		values := b.Int32[in.Name]
		for i, v := range values {
			if v != 0 && v != 1 {
				return fmt.Errorf("class %d of sequence %d is marked %d; it must be 0 or 1", i%in.Size, i/in.Size, v)
			}
		}
		for i := range b.Sequences {
			if !slices.Contains(values[i*in.Size:(i+1)*in.Size], 1) {
				return fmt.Errorf("sequence %d has no candidate", i)
			}
		}
	}
	return nil
}

// within checks values of [steps, sequences] or [sequences].
func within(values []int32, least, limit, sequences int) error {
	for i, v := range values {
		if int(v) < least || int(v) >= limit {
			return fmt.Errorf("the value of step %d of sequence %d is %d; it must be from %d to %d", i/sequences, i%sequences, v, least, limit-1)
		}
	}
	return nil
}

// Length is the number of steps of a stream that a sequence has.
func (b Batch) Length(inputs []Input, stream string, sequence int) int {
	if in, ok := lengths(inputs, stream); ok {
		return int(b.Int32[in.Name][sequence])
	}
	return b.Steps[stream]
}

// Starts says whether a sequence starts fresh.
func (b Batch) Starts(sequence int) bool { return b.Fresh == nil || b.Fresh[sequence] == 1 }

// Scored says whether a sequence has a target. One without only fills up the batch; it need
// not be run unless it goes on in the next batch.
func (b Batch) Scored(sequence int) bool {
	for i := sequence; i < len(b.Targets); i += b.Sequences {
		if b.Targets[i] >= 0 {
			return true
		}
	}
	return false
}

// Candidates has a 1 for each class that is a candidate of the sequence, [classes]. It is nil
// if all classes are.
func (b Batch) Candidates(inputs []Input, sequence int) []int32 {
	in, ok := candidates(inputs)
	if !ok {
		return nil
	}
	return b.Int32[in.Name][sequence*in.Size : (sequence+1)*in.Size]
}
