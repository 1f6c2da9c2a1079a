package network

import (
	"fmt"
	"maps"
	"slices"

	"bittern/plugins/packed"
)

// Validate returns an error if no backend can run the program with these weights. It is one
// sentence that names the place. In a program without one, each stage's graph is valid by
// itself, and some graph names every weight.
func (n Network) Validate(weights map[string]packed.Matrix) error {
	v := validator{network: n, weights: weights, values: map[string]Value{}, used: map[string]bool{}}
	for _, in := range n.Inputs {
		if err := in.check(n.Inputs, v.values); err != nil {
			return fmt.Errorf("network: input %q: %w", in.Name, err)
		}
	}
	for _, s := range n.Stages {
		if err := v.stage(s); err != nil {
			return fmt.Errorf("network: stage %q (%s): %w", s.Name, s.Op, err)
		}
	}
	if err := v.output(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if !v.used[name] {
			return fmt.Errorf("network: the weight %q is given but no graph names it", name)
		}
	}
	return nil
}

type validator struct {
	network Network
	weights map[string]packed.Matrix
	values  map[string]Value // of everything defined so far
	used    map[string]bool  // weights that a graph names
}

// check returns an error where an input is none, and adds it to those that are known.
func (in Input) check(all []Input, known map[string]Value) error {
	switch in.Role {
	case Tokens, Features, Lengths:
		if in.Stream == "" {
			return fmt.Errorf("%s belong to a stream, and it names none", in.Role)
		}
	case Candidates:
		if in.Stream != "" {
			return fmt.Errorf("candidates are given once a sequence, and it names the stream %q", in.Stream)
		}
	default:
		return fmt.Errorf("there is no role %q", in.Role)
	}
	if in.Size < 1 || in.Role == Lengths && in.Size != 1 {
		return fmt.Errorf("its size is %d; it must be at least 1, and exactly 1 for lengths", in.Size)
	}
	if in.Name == TensorFresh || in.Name == TensorTargets {
		return fmt.Errorf("the name is that of another tensor of a batch")
	}
	if first, _ := lengths(all, in.Stream); in.Role == Lengths && first.Name != in.Name {
		return fmt.Errorf("the stream %q has the lengths %q already", in.Stream, first.Name)
	}
	if first, _ := candidates(all); in.Role == Candidates && first.Name != in.Name {
		return fmt.Errorf("there are the candidates %q already", first.Name)
	}
	return define(known, in.Name, Value{in.Stream, in.Size})
}

func define(known map[string]Value, name string, value Value) error {
	if name == "" {
		return fmt.Errorf("it has no name; name every input and every stage")
	}
	if _, taken := known[name]; taken {
		return fmt.Errorf("the name is taken twice; inputs and stages share one set of names")
	}
	known[name] = value
	return nil
}

func (v *validator) stage(s Stage) error {
	want := map[Op]int{Scan: len(s.Graph.Inputs), Softmax: 1, WeightedSum: 2}
	inputs, known := want[s.Op]
	if !known {
		return fmt.Errorf("there is no such operation")
	}
	if len(s.Inputs) != inputs || inputs == 0 {
		return fmt.Errorf("has %d inputs; it takes %d", len(s.Inputs), inputs)
	}
	stream := ""
	for _, name := range s.Inputs {
		value, defined := v.values[name]
		if !defined {
			return fmt.Errorf("input %q is not defined before it", name)
		}
		if in, ok := v.network.Input(name); ok && in.Role != Tokens && in.Role != Features {
			return fmt.Errorf("input %q is a %s, which is no operand", name, in.Role)
		}
		if value.Stream != "" && stream != "" && value.Stream != stream {
			return fmt.Errorf("reads the streams %q and %q at once", stream, value.Stream)
		}
		stream = max(stream, value.Stream)
	}
	var err error
	if s.Op == Scan {
		err = v.scan(s, stream)
	} else {
		err = v.overSteps(s)
	}
	if err != nil {
		return err
	}
	return define(v.values, s.Name, s.value(v.values))
}

func (v *validator) scan(s Stage, stream string) error {
	weights := map[string]packed.Matrix{}
	for _, node := range s.Graph.Nodes {
		if m, given := v.weights[node.Weight]; given {
			weights[node.Weight] = m
			v.used[node.Weight] = true
		}
	}
	if err := s.Graph.Validate(weights); err != nil {
		return err
	}
	for i, in := range s.Graph.Inputs {
		name := s.Inputs[i]
		outer, isInput := v.network.Input(name)
		if token := isInput && outer.Role == Tokens; token != in.Token {
			return fmt.Errorf("%q and the graph's input %q are not both tokens", name, in.Name)
		}
		if size := v.values[name].Size; size != in.Size {
			return fmt.Errorf("%q has size %d, and the graph's input %q has %d", name, size, in.Name, in.Size)
		}
	}
	if stream == "" && (s.Reverse || s.Last || len(s.Graph.States) > 0) {
		return fmt.Errorf("its graph is run once, for no input is a sequence: it has no direction, no last step and no states")
	}
	return nil
}

// overSteps checks a softmax over steps and a weighted sum.
func (v *validator) overSteps(s Stage) error {
	if s.Reverse || s.Last || len(s.Graph.Nodes) > 0 {
		return fmt.Errorf("has a graph or a direction, which only a scan has")
	}
	for _, name := range s.Inputs {
		if v.values[name].Stream == "" {
			return fmt.Errorf("its input %q is no sequence", name)
		}
		if in, ok := v.network.Input(name); ok && in.Role == Tokens {
			return fmt.Errorf("its input %q is a token, which only a look-up takes", name)
		}
	}
	if size := v.values[s.Inputs[0]].Size; size != 1 {
		return fmt.Errorf("its input %q has %d values a step; it takes one", s.Inputs[0], size)
	}
	return nil
}

func (v *validator) output() error {
	if len(v.network.Stages) == 0 {
		return fmt.Errorf("it has no stage")
	}
	if !slices.ContainsFunc(v.network.Stages, func(s Stage) bool { return s.Name == v.network.Output }) {
		return fmt.Errorf("the output %q is no stage", v.network.Output)
	}
	in, ok := candidates(v.network.Inputs)
	if size := v.values[v.network.Output].Size; ok && in.Size != size {
		return fmt.Errorf("the candidates %q are %d, and the output has %d classes", in.Name, in.Size, size)
	}
	return nil
}
