package onnx

import (
	"slices"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins/stepgraph"
)

// initial is the value of a state before the first step, [sequences, size].
func (s *scan) initial(state stepgraph.State) string {
	own := s.path(state.Name) + "/initial"
	init := s.floats(own, state.Init, 1, state.Size)
	if !s.goesOn() {
		return s.main.op("Expand", own, []string{init, s.shapeOf(own, s.sequences(), s.list(int64(state.Size)))})
	}
	given := s.stateName(state)
	s.main.names.taken[given] = true
	s.main.input(given, float32s, sequencesDim, state.Size)
	fresh := s.once("starts fresh/column", func(name string) string {
		return s.main.op("Unsqueeze", name, []string{s.startsFresh(), s.list(1)})
	})
	return s.main.op("Where", own, []string{fresh, init, given})
}

// final records what a state is after the last step, [sequences, size].
func (s *scan) final(state stepgraph.State, name string) {
	s.finals[state.Next] = value{name: name, size: state.Size}
	if s.goesOn() {
		next := "next/" + s.stateName(state)
		s.main.names.taken[next] = true
		s.main.node("Identity", []string{next}, []string{name})
		s.main.output(next, float32s, sequencesDim, state.Size)
	}
}

// goesOn says whether the stage can go on from an earlier call. A reverse scan cannot.
func (s *scan) goesOn() bool { return s.options.Carried && !s.stage.Reverse }

// path is the name of a value of the stage, and stateName that of a state as the
// model's users know it.
func (s *scan) path(name string) string                { return s.stage.Name + "/" + name }
func (s *scan) stateName(state stepgraph.State) string { return "state/" + s.path(state.Name) }

// loop makes a Scan of a recurrence.
func (s *scan) loop(r *recurrence) error {
	s.recurrences = append(s.recurrences, "Scan")
	b := &block{names: s.main.names}
	inner := map[string]value{} // of the graph's names, in the body
	var initial, scanned []string
	enter := func(wanted string, kind onnxpb.TensorProto_DataType, dims ...any) string {
		name := b.names.fresh(wanted)
		b.input(name, kind, dims...)
		return name
	}
	for _, state := range r.states {
		inner[state.Name] = value{name: enter(s.path(state.Name), float32s, sequencesDim, state.Size), size: state.Size}
		initial = append(initial, s.initial(state))
	}
	// The inputs of a body are its states, and then one step of each sequence.
	read := func(name string) error {
		if _, ok := inner[name]; ok || s.loops[name] == r {
			return nil
		}
		v, err := s.value(name)
		if err != nil {
			return err
		}
		if v.stepped {
			scanned = append(scanned, v.name)
			v = value{name: enter(v.name+"/step", float32s, sequencesDim, v.size), size: v.size}
		}
		inner[name] = v
		return nil
	}
	for _, n := range r.nodes {
		for _, in := range n.Inputs {
			if err := read(in); err != nil {
				return err
			}
		}
	}
	for _, state := range r.states {
		if err := read(state.Next); err != nil {
			return err
		}
	}
	valid := s.valid(s.stream)
	if valid != "" {
		scanned = append(scanned, valid)
		valid = enter(valid+"/step", bools, sequencesDim, 1)
	}
	position := ""
	at := func() string {
		if position == "" {
			positions := s.positions(s.stream, s.stage.Reverse)
			scanned = append(scanned, positions)
			position = enter(positions+"/step", int64s, sequencesDim)
		}
		return position
	}
	for _, n := range r.nodes {
		operands := make([]value, len(n.Inputs))
		for i, in := range n.Inputs {
			operands[i] = inner[in]
		}
		var err error
		if inner[n.Name], err = s.node(place{block: b, position: at}, n, operands); err != nil {
			return err
		}
	}
	if len(scanned) == 0 {
		at() // a Scan needs a sequence to tell how often it runs
	}
	var outer []string
	leave := func(name, wanted string, size int) {
		name = b.op("Identity", wanted+"/out", []string{name})
		b.output(name, float32s, sequencesDim, size)
		outer = append(outer, b.names.fresh(wanted))
	}
	for _, state := range r.states {
		next := inner[state.Next].name
		if valid != "" { // a sequence that has ended keeps its state
			next = b.op("Where", s.path(state.Name)+"/kept", []string{valid, next, inner[state.Name].name})
		}
		leave(next, s.path(state.Name)+"/final", state.Size)
	}
	exposed := s.exposed(r)
	for _, name := range exposed {
		leave(inner[name].name, s.path(name), inner[name].size)
	}
	attributes := []*onnxpb.AttributeProto{
		body("body", &onnxpb.GraphProto{Name: s.main.names.fresh(s.path("step")), Node: b.nodes, Input: b.inputs, Output: b.outputs}),
		integer("num_scan_inputs", int64(len(scanned))),
	}
	if s.stage.Reverse {
		attributes = append(attributes, integers("scan_input_directions", slices.Repeat([]int64{1}, len(scanned))...))
		if len(exposed) > 0 {
			attributes = append(attributes, integers("scan_output_directions", slices.Repeat([]int64{1}, len(exposed))...))
		}
	}
	s.main.node("Scan", outer, append(initial, scanned...), attributes...)
	for i, state := range r.states {
		s.final(state, outer[i])
	}
	for i, name := range exposed {
		s.known[name] = value{name: outer[len(r.states)+i], size: inner[name].size, stepped: true}
	}
	return nil
}
