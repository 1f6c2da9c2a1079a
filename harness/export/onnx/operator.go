package onnx

import (
	"slices"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// operator makes an LSTM or GRU of a recurrence.
func (s *scan) operator(r *recurrence, c cell) error {
	s.recurrences = append(s.recurrences, c.operator)
	units, path := c.hidden.Size, s.path(c.hidden.Name)
	x, err := s.value(c.x)
	if err != nil {
		return err
	}
	if s.isToken(c.x) {
		x = s.oneHot(x)
	}
	if !x.stepped {
		x = s.expand(x, s.stream)
	}
	var input, hidden []term
	var inputShift, hiddenShift []float32
	for _, g := range c.gates {
		input, hidden = append(input, g.input), append(hidden, g.hidden)
		for i := range units {
			inputShift, hiddenShift = append(inputShift, float32(g.inputShift[i])), append(hiddenShift, float32(g.hiddenShift[i]))
		}
	}
	w, err := s.gateWeights(path+"/W", input, units)
	if err != nil {
		return err
	}
	recurrent, err := s.gateWeights(path+"/R", hidden, units)
	if err != nil {
		return err
	}
	biases := append(inputShift, hiddenShift...)
	leading := func(name string) string { return s.main.op("Unsqueeze", name, []string{name, s.list(0)}) }
	inputs := []string{x.name, w, recurrent, s.floats(path+"/B", biases, 1, len(biases)), s.role(network.Lengths, s.stream), leading(s.initial(c.hidden))}
	var outputs [3]string // Y, Y_h and of an LSTM Y_c, those that are read
	if len(s.exposed(r)) > 0 {
		outputs[0] = path + "/Y"
	}
	if s.readsFinal(c.hidden) {
		outputs[1] = path + "/Y_h"
	}
	attributes := []*onnxpb.AttributeProto{integer("hidden_size", int64(units))}
	if s.stage.Reverse {
		attributes = append(attributes, text("direction", "reverse"))
	}
	switch {
	case c.operator == "LSTM":
		inputs = append(inputs, leading(s.initial(c.memory)))
		if s.readsFinal(c.memory) {
			outputs[2] = path + "/Y_c"
		}
	case c.resetAfter:
		attributes = append(attributes, integer("linear_before_reset", 1))
	}
	made := s.main.ops(c.operator, outputs[:], inputs, attributes...)
	squeezed := func(name string, axis int64) string { return s.main.op("Squeeze", name, []string{name, s.list(axis)}) }
	if made[0] != "" {
		s.known[c.hidden.Next] = value{name: squeezed(made[0], 1), size: units, stepped: true} // axis 1 is the direction
	}
	if made[1] != "" {
		s.final(c.hidden, squeezed(made[1], 0))
	}
	if made[2] != "" {
		s.final(c.memory, squeezed(made[2], 0))
	}
	return nil
}

// readsFinal says that what a state is after the last step is read.
func (s *scan) readsFinal(state stepgraph.State) bool {
	return s.goesOn() || s.stage.Last && s.graph.Output == state.Next
}

func (s *scan) isToken(name string) bool {
	in, ok := s.graph.Input(name)
	return ok && in.Token
}

// oneHot turns tokens into vectors, of which a matrix picks its column.
func (s *scan) oneHot(tokens value) value {
	return value{size: tokens.size, stepped: true, name: s.once("one-hot/"+tokens.name, func(name string) string {
		at := s.main.op("Cast", name+"/at", []string{tokens.name}, integer("to", int64(int64s)))
		choice := s.floats(name+"/values", []float32{0, 1}, 2)
		return s.main.op("OneHot", name, []string{at, s.list(int64(tokens.size)), choice}, integer("axis", -1))
	})}
}

// gateWeights is the weight of an operator, [1, gates·units, columns]: for each gate the rows
// of its term, times their gains.
func (s *scan) gateWeights(wanted string, gates []term, units int) (string, error) {
	var weights []string // in the order of their first use
	for _, g := range gates {
		if !slices.Contains(weights, g.weight) {
			weights = append(weights, g.weight)
		}
	}
	coded := s.options.Weights != Float32 && slices.ContainsFunc(weights, func(w string) bool { return len(s.weights[w].Planes) > 0 })
	var gains []float32
	for _, g := range gates {
		for _, v := range g.gain {
			gains = append(gains, float32(v))
		}
	}
	if !coded {
		var values []float32
		cols := 0
		for _, g := range gates {
			m := s.weights[g.weight]
			cols = m.Cols
			decoded := m.Decode()
			for i := range units {
				for _, v := range decoded[(g.first+i)*cols:][:cols] {
					values = append(values, float32(g.gain[i]*float64(v)))
				}
			}
		}
		return s.floats(wanted, values, 1, len(gains), cols), nil
	}
	var parts []string
	before := map[string]int{} // rows of the weights in front
	total := 0
	for _, weight := range weights {
		part, err := s.matrix(weight, rows)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
		before[weight], total = total, total+s.weights[weight].Rows
	}
	name := parts[0]
	if len(parts) > 1 {
		name = s.main.op("Concat", wanted, parts, integer("axis", 0))
	}
	var order []int64
	for _, g := range gates {
		for i := range units {
			order = append(order, int64(before[g.weight]+g.first+i))
		}
	}
	name = s.main.op("Gather", wanted+"/gates", []string{name, s.initializer(wanted+"/order", int64s, littleEndian(order), len(order))}, integer("axis", 0))
	if slices.ContainsFunc(gains, func(v float32) bool { return v != 1 }) {
		name = s.main.op("Mul", wanted+"/gains", []string{name, s.floats(wanted+"/gain", gains, len(gains), 1)})
	}
	return s.main.op("Unsqueeze", wanted, []string{name, s.list(0)}), nil
}
