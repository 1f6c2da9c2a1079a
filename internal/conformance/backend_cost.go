package conformance

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
)

// checkMemory checks that the parts of the memory are large enough: weights need the bytes of
// their information (or one bit each, if the backend says that it stores them in another form),
// and states and tables need some.
func checkMemory(r *recorder, m *machine) {
	cost := m.cost(r, m.program.Steps)
	if len(cost.Memory) == 0 {
		r.skip("the machine tells no memory: %s", cost.Missing["memory"])
	}
	bytes := map[string]float64{}
	for _, p := range cost.Memory {
		bytes[p.Name] += p.Value
	}
	recurrent, states, tables := map[string]bool{}, 0, false
	for _, stage := range m.program.Network.Stages {
		for _, s := range stage.Graph.States {
			states += s.Size
		}
		for _, n := range stage.Graph.Nodes {
			recurrent[n.Weight] = recurrent[n.Weight] || n.Recurrent
			tables = tables || n.Scale.Rows > 1 || n.Shift.Rows > 1
		}
	}
	var inRecurrent, inOthers float64
	for _, name := range slices.Sorted(maps.Keys(m.program.Weights)) {
		substituted := slices.ContainsFunc(cost.Substitutions, func(s backend.Substitution) bool { return s.Weight == name })
		if least := leastBytes(m.program.Weights[name], substituted); recurrent[name] {
			inRecurrent += least
		} else {
			inOthers += least
		}
	}
	others := 0.0
	for name, value := range bytes {
		switch name {
		case backend.PartCodes, backend.PartFloats, backend.PartLevels, backend.PartState, backend.PartTables, backend.PartWorkspace:
		default:
			others += value
		}
	}
	for _, part := range []struct {
		names       string
		least, have float64
	}{
		{fmt.Sprintf("%q and %q", backend.PartCodes, backend.PartFloats), inRecurrent, bytes[backend.PartCodes] + bytes[backend.PartFloats]},
		{fmt.Sprintf("%q, %q and parts of other names", backend.PartEmbedding, backend.PartOutputLayer), inOthers, others},
		{fmt.Sprintf("%q", backend.PartState), float64(states) / 8, bytes[backend.PartState]},
	} {
		if part.have < part.least {
			r.saw("Cost: of the memory, %s come to %.6g bytes", part.names, part.have).want("at least %.6g, which what belongs there takes", part.least)
		}
	}
	if tables && bytes[backend.PartTables] == 0 {
		r.saw("Cost: of the memory, %q come to 0 bytes", backend.PartTables).want("more for a network with tables of several steps")
	}
}

// leastBytes returns how many bytes the information of a weight needs.
func leastBytes(w packed.Matrix, substituted bool) float64 {
	bits := float64(packed.FullPrecision)
	if len(w.Planes) > 0 {
		bits = 0
		for _, p := range w.Planes {
			bits += math.Log2(float64(len(p.Levels)))
		}
	}
	if substituted {
		bits = min(bits, 1)
	}
	return bits * float64(w.Rows*w.Cols) / 8
}

// outcome is all that a backend says of a program.
type outcome struct {
	Refused  string
	Deployed backend.Deployed
	Cost     backend.Cost
	Outputs  []float32
}

// checkOptionEffects changes each option of the backend, and checks that something changes in
// what it says of a program.
func checkOptionEffects(r *recorder, all *pool[backend.Backend], options plugins.Values) {
	o := all.open(r, 0)
	if slices.Contains(o.description.Traits, backend.TraitTimed) {
		r.skip("the machine times this computer: an option may change the time alone, which no two runs share")
	}
	if len(o.description.Options) == 0 {
		r.skip("the machine has no options")
	}
	values, err := plugins.Resolve("the plugin", o.description.Options, options)
	r.must("the options", err)
	programs := sample.Programs()
	var before []outcome
	for _, program := range programs {
		before = append(before, outcomeOf(r, o.plugin, options, program))
	}
	for _, option := range o.description.Options {
		var tried []string
		changed := false
		for _, value := range otherValues(option, values[option.Name]) {
			tried = append(tried, value)
			with := maps.Clone(options)
			if with == nil {
				with = plugins.Values{}
			}
			with[option.Name] = value
			for k, program := range programs {
				if changed = changed || !reflect.DeepEqual(outcomeOf(r, o.plugin, with, program), before[k]); changed {
					break
				}
			}
		}
		if !changed && tried != nil {
			r.saw("with the option %s = %q in place of %q, nothing of any program changes: neither what Deploy and Cost answer nor the outputs", option.Name, tried, values[option.Name]).
				want("the option to have an effect")
		}
	}
}

func outcomeOf(r *recorder, b backend.Backend, options plugins.Values, program sample.Program) (out outcome) {
	var err error
	m := &machine{Backend: b, program: program, request: backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights}}
	if out.Deployed, err = m.Deploy(r.ctx, m.request); err != nil {
		return outcome{Refused: err.Error()}
	}
	if out.Cost, err = m.Cost(r.ctx, backend.CostRequest{Steps: program.Steps}); err != nil {
		out.Refused = err.Error()
	}
	request := m.execute(program.Batch(backendSequences, 0))
	if _, err = m.Execute(r.ctx, request); err != nil {
		out.Refused += err.Error()
	} else {
		out.Outputs = request.Outputs
	}
	return out
}

// otherValues returns allowed values besides the one that an option has: up to two numbers near
// it, or all choices. There are none for an option that may be any text.
func otherValues(o plugins.Option, value string) []string {
	var values []string
	switch {
	case o.Type == plugins.Bool:
		values = []string{"true", "false"}
	case o.Type == plugins.String, o.Type == plugins.File:
		values = o.Choices
	default:
		near, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil
		}
		for _, step := range []float64{1, -1} {
			if o.Type == plugins.Float {
				step *= max(math.Abs(near), 1) / 4
			}
			if n := near + step; o.Min > o.Max || n >= o.Min && n <= o.Max {
				values = append(values, number(n))
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == value })
}

// number is a number as the text of an option.
func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
